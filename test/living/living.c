#include <glib-object.h>

#include "living.h"

// Every class copies the one it derives from, or chains up to it, so what the
// class of all objects does as it constructs and finalizes, all do. It has to be
// changed before any other class is made: as the process begins.
static GObject *(*construct)(GType, guint, GObjectConstructParam *);
static void (*finalize)(GObject *);

static GMutex lock;
static GHashTable *live; // the type of each

static GObject *constructing(GType type, guint n, GObjectConstructParam *p) {
	GObject *made = construct(type, n, p);
	g_mutex_lock(&lock);
	g_hash_table_insert(live, made, GSIZE_TO_POINTER(type));
	g_mutex_unlock(&lock);
	return made;
}

static void finalizing(GObject *gone) {
	g_mutex_lock(&lock);
	g_hash_table_remove(live, gone);
	g_mutex_unlock(&lock);
	finalize(gone);
}

__attribute__((constructor)) static void begin(void) {
	live = g_hash_table_new(NULL, NULL);
	GObjectClass *class = g_type_class_ref(G_TYPE_OBJECT);
	construct = class->constructor;
	finalize = class->finalize;
	class->constructor = constructing;
	class->finalize = finalizing;
}

void living_types(uintptr_t to) {
	GHashTableIter iter;
	gpointer type;
	g_mutex_lock(&lock);
	g_hash_table_iter_init(&iter, live);
	while (g_hash_table_iter_next(&iter, NULL, &type))
		livingType(to, (char *)g_type_name(GPOINTER_TO_SIZE(type)));
	g_mutex_unlock(&lock);
}
