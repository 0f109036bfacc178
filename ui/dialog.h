#ifndef QVM_DIALOG_H
#define QVM_DIALOG_H

#include <glib.h>

/* What gotk4-adwaita, made for libadwaita 1.0, does not know of 1.2's
 * AdwMessageDialog. A dialog is handed around as a number, as the bindings
 * do. */
void qvm_dialog_enable(guintptr dialog, const char *response, gboolean enabled);
void qvm_dialog_offer(guintptr dialog, const char *response, const char *label, gboolean harmful);
void qvm_dialog_label(guintptr dialog, const char *response, const char *label);
void qvm_dialog_respond(guintptr dialog, const char *response);

#endif
