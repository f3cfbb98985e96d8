/* clipboard.h: text to the terminal's clipboard (OSC 52): works over SSH, and in tmux
 * where it lets such through. */
#ifndef WOODSHED_TUI_CLIPBOARD_H
#define WOODSHED_TUI_CLIPBOARD_H

#include <stdbool.h>

struct err;
struct str;

enum {
	CLIPBOARD_BYTES_MAX = 16 << 10
}; /* terminals drop sequences that are longer than some 74 KB */

/* Adds what is to be sent: the text in base64, so nothing of it acts on the terminal.
 * in_tmux: once for tmux itself (set-clipboard on), once through it to the terminal
 * around it (allow-passthrough on).  ERR_ARG for a text that is too long. */
int clipboard_sequence(const char *text, bool in_tmux, struct str *out, struct err *e);

#endif
