#include "rows.h"

struct _QvmRows {
	GObject parent_instance;
	guint length;
};

static GType item_type(GListModel *model) { return G_TYPE_OBJECT; }

static guint n_items(GListModel *model) { return QVM_ROWS(model)->length; }

/* Each row is an object of its own: a list finds its rows again by theirs. */
static gpointer item(GListModel *model, guint position) {
	if (position >= QVM_ROWS(model)->length)
		return NULL;
	return g_object_new(G_TYPE_OBJECT, NULL);
}

static void list_model_init(GListModelInterface *iface) {
	iface->get_item_type = item_type;
	iface->get_n_items = n_items;
	iface->get_item = item;
}

G_DEFINE_TYPE_WITH_CODE(QvmRows, qvm_rows, G_TYPE_OBJECT,
	G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL, list_model_init))

static void qvm_rows_class_init(QvmRowsClass *klass) {}

static void qvm_rows_init(QvmRows *self) {}

QvmRows *qvm_rows_new(void) { return g_object_new(qvm_rows_get_type(), NULL); }

guint qvm_rows_length(guintptr self) { return QVM_ROWS((gpointer)self)->length; }

void qvm_rows_splice(guintptr model, guint position, guint removed, guint added) {
	QvmRows *self = QVM_ROWS((gpointer)model);
	position = MIN(position, self->length);
	removed = MIN(removed, self->length - position);
	added = MIN(added, G_MAXUINT - (self->length - removed));
	if (removed == 0 && added == 0)
		return;
	self->length = self->length - removed + added;
	g_list_model_items_changed(G_LIST_MODEL(self), position, removed, added);
}
