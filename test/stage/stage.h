#include <gtk/gtk.h>

/* NULL where the widget has that accessible name, or description, else what it
   has, to be freed. */
char *qvm_stage_accessible(guintptr widget, gboolean description, const char *want);
