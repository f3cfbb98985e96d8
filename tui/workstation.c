/* The workstation: opens library and terminal, waits for keys and for changes of
 * the database, draws what is dirty.
 *
 * Nothing here runs by the clock unless something moves.  That another process
 * writes is heard of by inotify on the library's folder.  What it wrote can be read
 * a moment later, once it is on the disk: until then the database is asked. */
#include "tui/workstation.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/models.h"
#include "tui/colors.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/terminal.h"
#include "tui/text.h"
#include "tui/verbs.h"
#include "tui/ws.h"

enum {
	FOOT_LINES = 2, /* message or line; hints */
	LINES_FOR_HINTS = 5,
	PLAYING_MS = 125,
	LOOK_MS = 50,
	RETRY_MS = 1000, /* how often somebody is looked for who does the work */
};

static const double LOOK_S = 1; /* a commit takes no longer to reach the disk */

/* ---- what the parts call ------------------------------------------------ */

const struct view *const views[N_SCREENS] = {
	[SCREEN_LIBRARY] = &view_library, [SCREEN_QUEUE] = &view_queue, [SCREEN_HELP] = &view_help};

static void say(struct ws *ws, bool is_error, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	str_clear(&ws->message);
	str_add(&ws->message, text);
	ws->is_error = is_error;
	ws->dirty |= DIRTY_FOOT;
}

void ws_say(struct ws *ws, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ws, false, fmt, ap);
	va_end(ap);
}

void ws_complain(struct ws *ws, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ws, true, fmt, ap);
	va_end(ap);
}

void ws_fail(struct ws *ws, struct err *e)
{
	ws_complain(ws, "%s", e->text);
	err_clear(e);
}

void ws_show(struct ws *ws, enum ws_screen screen)
{
	if (screen == SCREEN_HELP && ws->screen != SCREEN_HELP) {
		ws->help.of = ws->screen;
		ws->help.list.cursor = 0;
	}
	ws->screen = screen;
	ws->takes.is_stale = true;
	ws->dirty = DIRTY_ALL;
}

void ws_input(struct ws *ws, enum input_kind kind, const char *text)
{
	ws->input = kind;
	ws_say(ws, "%s", "");
	line_edit_set(&ws->line, text);
	ws->dirty |= DIRTY_FOOT;
}

void ws_changed(struct ws *ws)
{
	ws->is_stale = ws->takes.is_stale = ws->queue.is_stale = true;
	ws->employ_at = 0;
	ws->dirty |= DIRTY_BODY | DIRTY_TABS;
}

void ws_moved(struct ws *ws)
{
	ws->takes.is_stale = true;
	ws->dirty |= DIRTY_BODY;
}

/* ---- the line at the foot ----------------------------------------------- */

static void finish_input(struct ws *ws, enum input_kind kind, const char *text)
{
	if (kind == INPUT_COMMAND)
		commands_run(ws, text);
	else if (kind == INPUT_PROMPT && *text) {
		struct str command = {0};

		str_printf(&command, "queue %s", text);
		commands_run(ws, str_get(&command));
		str_done(&command);
	}
}

static void end_input(struct ws *ws, bool accept)
{
	enum input_kind kind = ws->input;
	struct line_edit line = ws->line;

	ws->input = INPUT_NONE;
	ws->line = (struct line_edit){0};
	ws->dirty |= DIRTY_FOOT;
	if (accept)
		finish_input(ws, kind, str_get(&line.text));
	else if (kind == INPUT_FILTER) {
		line_edit_set(&ws->takes.filter, str_get(&ws->before));
		ws_changed(ws);
	}
	line_edit_done(&line);
}

static bool edit_line(struct line_edit *l, uint32_t key)
{
	static const struct {
		uint32_t key;
		enum line_edit_action action;
	} actions[] = {
		{KEYS_LEFT, LINE_LEFT},
		{KEYS_RIGHT, LINE_RIGHT},
		{KEYS_HOME, LINE_START},
		{1, LINE_START},
		{KEYS_END, LINE_END},
		{5, LINE_END},
		{KEYS_BACKSPACE, LINE_BACKSPACE},
		{KEYS_DELETE, LINE_DELETE},
		{4, LINE_DELETE},
		{23, LINE_DELETE_WORD},
		{21, LINE_DELETE_START},
		{11, LINE_DELETE_END},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (actions[i].key == key)
			return line_edit_do(l, actions[i].action);
	return key < KEY_NAMED && line_edit_insert(l, key);
}

static void input_key(struct ws *ws, uint32_t key)
{
	if (key == '\r' || key == 27) {
		end_input(ws, key == '\r');
		return;
	}
	if (key == KEYS_BACKSPACE && !ws->line.text.n) {
		end_input(ws, false);
		return;
	}
	if (!edit_line(&ws->line, key))
		return;
	ws->dirty |= DIRTY_FOOT;
	if (ws->input == INPUT_FILTER) {
		ws_say(ws, "%s", "");
		line_edit_set(&ws->takes.filter, str_get(&ws->line.text));
		list_go(&ws->takes.list, 0);
		ws->takes.is_stale = true;
		ws->dirty |= DIRTY_BODY;
	}
}

/* ---- drawing ------------------------------------------------------------ */

static void draw_tabs(struct ws *ws, int height, int width)
{
	char waiting[32] = "";
	int x = 0;

	paint(0, 0, width, ROLE_TAB, "");
	for (int i = 0; i < N_SCREENS; i++) {
		int n = (int)text_cells(views[i]->tab) + 2;
		enum theme_role role = i == (int)ws->screen ? ROLE_TAB_ACTIVE : ROLE_TAB;

		paint(0, x, n, role, "");
		paint(0, x + 1, n - 1, role, views[i]->tab);
		x += n;
	}
	if (ws->n_waiting)
		snprintf(waiting, sizeof(waiting), "%lld job%s ", (long long)ws->n_waiting,
			ws->n_waiting == 1 ? "" : "s");
	if (x + (int)strlen(waiting) < width)
		paint_right(0, x, width - x, ROLE_TAB, waiting);
}

static const char *const input_marks[] = {"", ":", "/", "prompt: "};

static void draw_line(const struct ws *ws, int width)
{
	const char *mark = input_marks[ws->input];
	int n = (int)strlen(mark);

	paint(0, 0, n, ROLE_PROMPT, mark);
	paint(0, n, width - n, ROLE_TEXT, str_get(&ws->line.text));
}

static void draw_foot(struct ws *ws, int height, int width)
{
	if (ws->input)
		draw_line(ws, width);
	else
		paint(0, 0, width, ws->is_error ? ROLE_ERROR : ROLE_MESSAGE, str_get(&ws->message));
	if (height < 2)
		return;
	if (ws->input && ws->message.n) /* what the line is about, or what is wrong with it */
		paint(1, 0, width, ws->is_error ? ROLE_ERROR : ROLE_MESSAGE, str_get(&ws->message));
	else
		paint(1, 0, width, ROLE_HINT_TEXT,
			ws->input ? "Enter takes it  Esc leaves it" : views[ws->screen]->hints);
}

static void draw_now(struct ws *ws, int height, int width)
{
	struct str left = {0}, right = {0};
	struct listen_view v;
	int bar;

	listen_read(ws->listen, &v);
	paint(0, 0, width, ROLE_TEXT, "");
	if (v.take) {
		str_printf(&left, "%s %s",
			v.is_playing   ? "\u25b6"
			: v.is_loading ? "\u2026"
				       : "\u2016",
			str_get(&ws->title));
		str_printf(&right, " %u:%02u / %u:%02u  vol %d%s%s", (unsigned)v.position_s / 60,
			(unsigned)v.position_s % 60, (unsigned)v.length_s / 60,
			(unsigned)v.length_s % 60, ws->percent, v.n_underruns ? "  underruns" : "",
			v.no_device ? "  (no sound device)" : "");
	}
	bar = width - 32 - (int)right.n;
	paint(0, 0, bar > 8 ? 32 : width - (int)right.n, ROLE_ROW_PLAYING, str_get(&left));
	if (bar > 8 && v.take)
		paint_bar(0, 32, bar, v.length_s > 0 ? v.position_s / v.length_s : 0);
	paint_right(0, width - (int)right.n, (int)right.n, ROLE_TEXT, str_get(&right));
	str_done(&left);
	str_done(&right);
}

struct layout {
	struct rect tabs, body, now, foot;
};

static struct rect take_lines(int *y, int height, int width)
{
	struct rect r = {*y, 0, height, width};

	*y += height;
	return r;
}

/* What a terminal of that size has room for: the body first. */
static struct layout layout_of(int lines, int width)
{
	int foot = lines >= LINES_FOR_HINTS ? FOOT_LINES : lines >= 2;
	int tabs = lines >= LINES_FOR_HINTS + 2, now = lines >= LINES_FOR_HINTS + 1, y = 0;
	struct layout l;

	l.tabs = take_lines(&y, tabs, width);
	l.body = take_lines(&y, lines - tabs - now - foot, width);
	l.now = take_lines(&y, now, width);
	l.foot = take_lines(&y, foot, width);
	return l;
}

/* Where one types; else on the selected row, for those who read the screen by ear. */
static void place_cursor(struct ws *ws, const struct layout *l)
{
	const struct view *v = views[ws->screen];
	const struct list *list = v->list(ws);

	curs_set(ws->input ? 1 : 0);
	if (ws->input) {
		struct str before = {0};

		str_add_n(&before, str_get(&ws->line.text), ws->line.at);
		move(l->foot.y,
			(int)strlen(input_marks[ws->input]) + (int)text_cells(str_get(&before)));
		str_done(&before);
	} else {
		move(l->body.y + v->heads + (int)(list->cursor - list->top), l->body.x);
	}
}

static void load(struct ws *ws, int height)
{
	const struct view *v = views[ws->screen];
	struct err e = {0};
	int rc = 0;

	/* Every screen shows that there is work. */
	if (ws->is_stale) {
		rc = jobs_waiting(ws->db, &ws->n_waiting, &e);
		if (!rc)
			rc = queue_is_paused(ws->db, &ws->is_paused, &e);
		ws->is_stale = rc != 0;
	}
	if (!rc && v->load)
		rc = v->load(ws, height, &e);
	if (rc)
		ws_fail(ws, &e);
}

static void draw_part(struct ws *ws, unsigned part, const struct rect *r,
	void (*draw)(struct ws *ws, int height, int width))
{
	if (!(ws->dirty & part) || r->height < 1)
		return;
	paint_in(r);
	draw(ws, r->height, r->width);
}

static void draw(struct ws *ws)
{
	struct layout l = layout_of(LINES, COLS);

	if (ws->dirty & DIRTY_BODY)
		load(ws, l.body.height);
	draw_part(ws, DIRTY_TABS, &l.tabs, draw_tabs);
	draw_part(ws, DIRTY_BODY, &l.body, views[ws->screen]->draw);
	draw_part(ws, DIRTY_NOW, &l.now, draw_now);
	draw_part(ws, DIRTY_FOOT, &l.foot, draw_foot);
	ws->dirty = 0;
	place_cursor(ws, &l);
	refresh();
}

/* ---- the worker --------------------------------------------------------- */

/* Whether somebody has to be looked for. */
static bool lacks_worker(const struct ws *ws)
{
	return ws->n_waiting && !ws->is_paused && !ws->worker.pid;
}

/* Where there is work and nobody alive to do it, one is started. */
static void employ(struct ws *ws)
{
	double now = clock_now();
	struct err e = {0};
	int64_t alive = 0;
	size_t n;
	int rc;

	if (!lacks_worker(ws) || now < ws->employ_at)
		return;
	ws->employ_at = now + RETRY_MS / 1e3;
	rc = workers_count(ws->db, &alive, &e);
	if (!rc && !alive)
		rc = workers_recover(ws->db, clock_unix_ms(), &n, &e);
	if (!rc && !alive)
		rc = worker_process_start(&ws->worker, now, &e);
	if (rc)
		ws_fail(ws, &e);
}

static void reap(struct ws *ws)
{
	bool died;

	if (!worker_process_reap(&ws->worker, clock_now(), &died))
		return;
	ws_changed(ws);
	if (died)
		ws_say(ws, "the worker died and is started again; its log is %s/log/worker",
			ws->library);
}

/* ---- the loop ----------------------------------------------------------- */

static void handle_key(struct ws *ws, uint32_t key)
{
	struct mouse m;

	if (key == TERMINAL_RESIZED) {
		ws->takes.is_stale = true;
		ws->dirty = DIRTY_ALL;
		erase();
	} else if (key == TERMINAL_MOUSE) {
		if (terminal_mouse(&m) && (m.what == MOUSE_WHEEL_UP || m.what == MOUSE_WHEEL_DOWN))
			commands_run(ws, m.what == MOUSE_WHEEL_UP ? "move -3" : "move 3");
	} else if (ws->input) {
		input_key(ws, key);
	} else {
		if (ws->is_error)
			ws_say(ws, "%s", "");
		commands_key(ws, key);
	}
}

struct waits {
	int watch, signals; /* inotify and signalfd; -1: none */
};

static void drain(int fd)
{
	char bytes[4096];

	while (fd >= 0 && read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void go_on_listening(struct ws *ws)
{
	struct err e = {0};

	if (listen_work(ws->listen, &e))
		ws_fail(ws, &e);
	ws->dirty |= DIRTY_NOW;
}

/* What others committed since the last look. */
static void look(struct ws *ws)
{
	struct err e = {0};
	int64_t version;

	if (db_version(ws->db, &version, &e)) {
		ws_fail(ws, &e);
		return;
	}
	if (version != ws->version)
		ws_changed(ws);
	ws->version = version;
}

static int patience(const struct ws *ws, bool is_playing)
{
	if (clock_now() < ws->look_until)
		return LOOK_MS;
	return is_playing ? PLAYING_MS : lacks_worker(ws) ? RETRY_MS : -1;
}

static void wait_for_work(struct ws *ws, const struct waits *w)
{
	struct listen_view v;
	int sound[2];

	listen_read(ws->listen, &v);
	listen_fds(ws->listen, sound);
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = w->watch, .events = POLLIN}, {.fd = w->signals, .events = POLLIN},
		{.fd = sound[0], .events = POLLIN}, {.fd = sound[1], .events = POLLIN}};

	if (poll(fds, 5, patience(ws, v.is_playing)) < 0)
		return; /* a signal: of a resize, say */
	if (fds[0].revents & (POLLHUP | POLLERR))
		ws->has_ended = true;
	if (fds[1].revents) {
		drain(w->watch);
		ws->look_until = clock_now() + LOOK_S;
	}
	if (fds[2].revents)
		drain(w->signals);
	if (v.is_playing || v.is_loading || fds[3].revents || fds[4].revents)
		go_on_listening(ws);
	if (clock_now() < ws->look_until)
		look(ws);
	reap(ws);
}

static void run(struct ws *ws, const struct waits *w)
{
	while (!ws->has_ended) {
		uint32_t key;

		while (!ws->has_ended && (key = terminal_key()) != TERMINAL_NONE)
			handle_key(ws, key);
		if (ws->dirty)
			draw(ws);
		employ(ws);
		if (ws->dirty)
			draw(ws);
		if (!ws->has_ended)
			wait_for_work(ws, w);
	}
}

/* ---- opening ------------------------------------------------------------ */

static int open_log(const char *library, struct arena *a)
{
	const char *folder = arena_printf(a, "%s/log", library);

	mkdir(folder, 0700);
	return open(arena_printf(a, "%s/worker", folder), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		0600);
}

static struct waits open_waits(const char *library)
{
	struct waits w = {inotify_init1(IN_NONBLOCK | IN_CLOEXEC), -1};
	sigset_t child;

	/* The folder: the database's log comes and goes in it. */
	if (w.watch >= 0)
		inotify_add_watch(w.watch, library, IN_MODIFY);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	w.signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	return w;
}

static int open_all(struct ws *ws, struct err *e)
{
	struct models models = {0};
	const char *folder = globals_program();
	int rc = globals_library(ws->globals, ws->env, &ws->arena, &ws->library, e);

	if (!rc)
		rc = db_open(ws->library, &ws->db, e);
	if (!rc)
		rc = globals_models(ws->globals, ws->env, &ws->arena, &models, e);
	if (rc)
		return rc;
	ws->model = models.chosen ? models.chosen->name : NULL;
	ws->worker = (struct worker_process){
		.program = arena_printf(&ws->arena, "%s/woodshed-engine", folder ? folder : "."),
		.library = ws->library,
		.log_fd = open_log(ws->library, &ws->arena)};
	ws_changed(ws);
	ws->dirty = DIRTY_ALL;
	ws->percent = 100;
	rc = db_version(ws->db, &ws->version, e);
	return rc ? rc : listen_open(ws->worker.log_fd, &ws->listen, e);
}

static void close_all(struct ws *ws)
{
	listen_close(ws->listen);
	if (ws->worker.log_fd > 0)
		close(ws->worker.log_fd);
	str_done(&ws->title);
	db_close(ws->db);
	arena_done(&ws->takes.page);
	arena_done(&ws->queue.page);
	line_edit_done(&ws->takes.filter);
	line_edit_done(&ws->line);
	str_done(&ws->before);
	str_done(&ws->message);
	arena_done(&ws->arena);
}

static int show(struct ws *ws, struct err *e)
{
	const struct colors_env env = {.term = ws->env->term,
		.colorterm = ws->env->colorterm,
		.terminfo_dirs = ws->env->terminfo_dirs,
		.tmux = ws->env->tmux,
		.entries = paths_shared(ws->env->program, "themes/terminfo", &ws->arena),
		.is_mono = !globals_has_color(ws->globals, ws->env, true)};
	struct waits w = open_waits(ws->library);
	struct colors *colors;
	int rc = terminal_open(&(struct terminal_desc){&env, ws->worker.log_fd, true}, e);

	if (!rc) {
		colors = colors_open(&env, theme_default());
		colors_fill(colors, stdscr, ROLE_TEXT);
		paint_with(colors);
		run(ws, &w);
		listen_close(ws->listen); /* sound libraries print: while stderr is the log's */
		ws->listen = NULL;
		paint_with(NULL);
		colors_close(colors);
		terminal_close();
	}
	if (w.watch >= 0)
		close(w.watch);
	if (w.signals >= 0)
		close(w.signals);
	return rc;
}

int workstation_run(const struct globals *g, const struct environment *env)
{
	struct ws ws = {.globals = g, .env = env};
	struct err e = {0};
	int rc;

	setlocale(LC_CTYPE, ""); /* what is a character; numbers stay as they are */
	rc = open_all(&ws, &e);

	if (!rc)
		rc = show(&ws, &e);
	close_all(&ws);
	return rc ? verb_fail(rc, &e) : 0;
}
