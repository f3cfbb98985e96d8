/* What is pasted: text, whatever keys it looks like. */
#include <string.h>

#include "library/base/clock.h"
#include "tui/terminal.h"
#include "tui/ws.h"

enum { PASTE_BYTES_MAX = 1 << 20 };

static const double PASTE_S = 2; /* without its end, it has ended after that */

static void end_paste(struct ws *ws)
{
	const struct view *v = views[ws->screen];
	const char *text = str_get(&ws->paste);

	ws->is_pasting = false;
	for (size_t i = 0, k; ws->input && i < ws->paste.n; i += k) {
		uint32_t cp;

		k = utf8_decode(text + i, ws->paste.n - i, &cp);
		if (ws->input != INPUT_ASK) /* a y in it is no answer */
			input_key(ws, cp == '\n' || cp == '\t' ? ' ' : cp);
	}
	if (!ws->input && v->paste)
		v->paste(ws, text, ws->paste.n);
	else if (!ws->input)
		ws_say(ws, "nothing is typed here, so what was pasted is left out");
	str_clear(&ws->paste);
}

bool paste_key(struct ws *ws, uint32_t key)
{
	char bytes[4];
	bool is_rest;

	if (ws->is_pasting && key != TERMINAL_PASTE_END && clock_now() - ws->pasted > PASTE_S)
		end_paste(ws);
	if (key == TERMINAL_PASTE || key == TERMINAL_PASTE_END) {
		if (ws->is_pasting)
			end_paste(ws);
		ws->is_pasting = key == TERMINAL_PASTE;
		ws->has_pasted_cr = false;
		ws->pasted = clock_now();
		return true;
	}
	if (!ws->is_pasting || key == TERMINAL_RESIZED)
		return false;
	ws->pasted = clock_now();
	is_rest = key == '\n' && ws->has_pasted_cr;
	ws->has_pasted_cr = key == '\r';
	if (is_rest) /* of CR LF, which is one end of a line */
		return true;
	if (key == '\r')
		key = '\n';
	if (ws->paste.n < PASTE_BYTES_MAX && (key >= ' ' || key == '\n' || key == '\t') &&
		key < KEY_NAMED)
		str_add_n(&ws->paste, bytes, utf8_encode(key, bytes));
	return true;
}
