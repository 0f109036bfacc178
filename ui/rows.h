#ifndef QVM_ROWS_H
#define QVM_ROWS_H

#include <gio/gio.h>

/* A GListModel that has a length and nothing else: an item says only that it
 * is one. gotk4 cannot implement an interface of GObject in Go. */
G_DECLARE_FINAL_TYPE(QvmRows, qvm_rows, QVM, ROWS, GObject)

/* The model is handed around as a number, as the bindings do. */
QvmRows *qvm_rows_new(void);
guint qvm_rows_length(guintptr self);
void qvm_rows_splice(guintptr self, guint position, guint removed, guint added);

#endif
