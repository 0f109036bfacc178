#include "stage.h"

char *qvm_stage_accessible(guintptr widget, gboolean description, const char *want) {
	GtkAccessibleProperty property = description ? GTK_ACCESSIBLE_PROPERTY_DESCRIPTION : GTK_ACCESSIBLE_PROPERTY_LABEL;
	return gtk_test_accessible_check_property(GTK_ACCESSIBLE((gpointer)widget), property, want);
}
