#include <adwaita.h>

#include "dialog.h"

/* Deprecated since libadwaita 1.6, whose successor the floor does not have. */
G_GNUC_BEGIN_IGNORE_DEPRECATIONS

void qvm_dialog_enable(guintptr dialog, const char *response, gboolean enabled) {
	adw_message_dialog_set_response_enabled(ADW_MESSAGE_DIALOG((gpointer)dialog), response, enabled);
}

void qvm_dialog_offer(guintptr dialog, const char *response, const char *label, gboolean harmful) {
	AdwMessageDialog *d = ADW_MESSAGE_DIALOG((gpointer)dialog);
	adw_message_dialog_set_response_label(d, response, label);
	adw_message_dialog_set_response_appearance(d, response,
		harmful ? ADW_RESPONSE_DESTRUCTIVE : ADW_RESPONSE_SUGGESTED);
}

void qvm_dialog_label(guintptr dialog, const char *response, const char *label) {
	adw_message_dialog_set_response_label(ADW_MESSAGE_DIALOG((gpointer)dialog), response, label);
}

void qvm_dialog_respond(guintptr dialog, const char *response) {
	adw_message_dialog_response(ADW_MESSAGE_DIALOG((gpointer)dialog), response);
}

G_GNUC_END_IGNORE_DEPRECATIONS
