/* Commands line by line.
 *
 * The screens are drawn as ever, on a terminal that does not exist (terminal.h), and
 * printed from there. */
#include "tui/lines.h"

#include <curses.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tui/background.h"
#include "tui/screendump.h"
#include "tui/ws.h"

static const double PATIENCE_S = 1;

static void print(const char *s, size_t n)
{
	while (n) {
		ssize_t k = write(STDOUT_FILENO, s, n);

		if (k < 0 && errno != EINTR)
			return; /* nobody is left to read */
		s += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
}

/* The lines that hold something. */
static void add_lines(const char *s, int cursor, struct str *out)
{
	for (int y = 0; *s; y++) {
		size_t n = strcspn(s, "\n");

		if (n && y == cursor && *s == ' ')
			str_printf(out, ">%.*s\n", (int)n - 1, s + 1);
		else if (n)
			str_printf(out, "%.*s\n", (int)n, s);
		s += n + (s[n] == '\n');
	}
}

/* What came of a command is part of what is printed: nothing is drawn after that until
 * the next line comes. */
static void draw(struct ws *ws)
{
	frame_draw(ws);
	background_settle(ws->writer, ws, PATIENCE_S);
	ws_settle(ws); /* the list that is due now is asked for */
	background_settle(ws->reader, ws, PATIENCE_S);
	frame_draw(ws);
}

void lines_show(struct ws *ws)
{
	struct str screen = {0}, out = {0};

	draw(ws);
	screendump(&screen, false);
	add_lines(str_get(&screen), input_mark(ws) ? -1 : getcury(stdscr), &out);
	str_add(&out, input_mark(ws) ? input_mark(ws) : ": ");
	print(str_get(&out), out.n);
	str_done(&screen);
	str_done(&out);
}

/* A key or a chord, such as j, gg, ?: no command has so short a name but q. */
static bool is_keys(const char *line)
{
	const size_t n = strlen(line);

	return n >= 1 && n <= 2 && !commands_find(line, n);
}

static void use_line(struct ws *ws, char *line)
{
	struct str command = {0};

	str_sanitize(line);
	if (ws->input == INPUT_ASK) {
		input_key(ws, *line == 'y' || *line == 'Y' ? 'y' : 'n');
	} else if (ws->input) {
		line_edit_set(&ws->line, line);
		input_end(ws, true);
	} else {
		ws_say(ws, "%s", "");
		if (is_keys(line))
			str_add(&command, "keys ");
		str_add(&command, line);
		commands_run(ws, str_get(&command));
		str_done(&command);
	}
	ws->dirty = DIRTY_ALL;
	if (!ws->has_ended)
		lines_show(ws);
}

/* The terminal gives whole lines; one that is longer comes in pieces. */
void lines_take(struct ws *ws)
{
	char line[LINE_EDIT_BYTES_MAX + 1];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		ws->has_ended = true;
		return;
	}
	line[n] = 0;
	line[strcspn(line, "\r\n")] = 0;
	use_line(ws, line);
}
