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
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/clock.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/models.h"
#include "library/repair.h"
#include "tui/background.h"
#include "tui/colors.h"
#include "tui/config.h"
#include "tui/control.h"
#include "tui/denoise_process.h"
#include "tui/lines.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/terminal.h"
#include "tui/verbs.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

enum {
	OWN_FDS = 7, /* of poll(), before those of the socket */
	SETTLE_MS = 20,
	LOOK_MS = 50,
	MENU_MS = 400, /* how long a chord is waited for before its menu is shown */
	MMAP_BYTES = 256 << 10,
	RETRY_MS = 1000, /* how often somebody is looked for who does the work */
};

static const double LOOK_S = 1; /* a commit takes no longer to reach the disk */

/* ---- what the parts call ------------------------------------------------ */

const struct view *const views[N_SCREENS] = {[SCREEN_LIBRARY] = &view_library,
	[SCREEN_TRASH] = &view_trash,
	[SCREEN_COMPOSE] = &view_compose,
	[SCREEN_QUEUE] = &view_queue,
	[SCREEN_LISTEN] = &view_listen,
	[SCREEN_COMPARE] = &view_compare,
	[SCREEN_TRIAGE] = &view_triage,
	[SCREEN_RACE] = &view_race,
	[SCREEN_LOG] = &view_log,
	[SCREEN_LINEAGE] = &view_lineage,
	[SCREEN_SETUP] = &view_setup,
	[SCREEN_HELP] = &view_help};

static void say(struct ws *ws, bool is_error, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	str_clear(&ws->message);
	str_add(&ws->message, text);
	ws->is_error = is_error;
	ws->is_refusal = false;
	ws->said_at = clock_now();
	ws->dirty |= DIRTY_FOOT;
}

void ws_say(struct ws *ws, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ws, false, fmt, ap);
	va_end(ap);
}

void ws_refuse(struct ws *ws, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ws, false, fmt, ap);
	va_end(ap);
	ws->is_refusal = true;
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

/* A notice that was there for a while goes when something else is drawn, or a key comes:
 * nobody wakes up for it.  What went wrong stays until a key, and so do all where the user
 * wants that; why a key did nothing, until the next. */
static void forget_notice(struct ws *ws, bool is_key)
{
	const int64_t seconds = ws->settings.notice_s;
	const bool is_old = seconds && clock_now() > ws->said_at + (double)seconds;
	const bool waits_for_key = ws->is_error || !seconds;

	if (ws->message.n && !ws->input &&
		(waits_for_key ? is_key : is_old || (is_key && ws->is_refusal)))
		ws_say(ws, "%s", "");
}

void ws_show(struct ws *ws, enum ws_screen screen)
{
	const enum ws_screen from = ws->screen == SCREEN_HELP ? ws->help.of : ws->screen;

	if (from == SCREEN_TRIAGE && screen != SCREEN_TRIAGE && screen != SCREEN_HELP)
		triage_leave(ws);
	if (screen == SCREEN_HELP && ws->screen != SCREEN_HELP) {
		ws->help.of = ws->screen;
		ws->help.base = ws->base;
		ws->help.list.cursor = 0;
		line_edit_set(&ws->help.filter, "");
	}
	if (screen == SCREEN_COMPOSE)
		ws->compose->is_resting = false;
	ws->screen = ws->base = screen;
	ws->takes.is_stale = ws->trash.is_stale = true;
	ws->dirty = DIRTY_ALL;
}

void ws_focus(struct ws *ws, int by)
{
	int panes[LAYOUT_PANES_MAX];
	int n = frame_panes(ws, panes), at = 0;

	while (at < n - 1 && panes[at] != (int)ws->screen)
		at++;
	ws->screen = (enum ws_screen)panes[(at + by + n) % n];
	ws->takes.is_stale = true;
	ws->dirty = DIRTY_ALL;
}

void ws_interrupt(struct ws *ws)
{
	const bool was_choosing = compose_choice_leave(ws);
	const bool is_idle = !was_choosing && !ws->input && !ws->typed.n && !ws->message.n;

	if (ws->input)
		input_end(ws, false);
	commands_leave_chord(ws);
	ws->takes.is_stale = true;
	ws->dirty = DIRTY_ALL;
	ws_say(ws, "%s", is_idle ? "q leaves woodshed; ^C leaves off what was begun" : "");
}

void ws_changed(struct ws *ws)
{
	ws->is_stale = ws->takes.is_changed = ws->trash.is_changed = ws->queue.is_stale = true;
	ws->race.is_stale = ws->listening.is_stale = true;
	if (ws->compose)
		ws->compose->is_stale = true;
	ws->employ_at = 0;
	ws->dirty |= DIRTY_BODY | DIRTY_TABS;
}

void ws_moved(struct ws *ws)
{
	ws->takes.is_stale = ws->trash.is_stale = true;
	ws->dirty |= DIRTY_BODY;
	comparing_moved(ws);
}

/* ---- the worker --------------------------------------------------------- */

/* Whether somebody has to be looked for. */
static bool lacks_worker(const struct ws *ws)
{
	return ws->n_waiting && !ws->is_paused && !ws->worker.pid && !ws->has_lost;
}

/* Looks for somebody alive, and gives the jobs of the dead back. */
struct search {
	struct task task;
	int64_t n_alive;
};

static int search(struct db *db, struct task *t, struct err *e)
{
	struct search *s = (struct search *)t;
	size_t n;
	int rc = workers_count(db, &s->n_alive, e);

	return rc || s->n_alive ? rc : workers_recover(db, clock_unix_ms(), &n, e);
}

static void end_search(struct ws *ws, struct task *t, int rc, struct err *e)
{
	const struct search *s = (struct search *)t;

	ws->is_searching = false;
	ws->employ_at = clock_now() + RETRY_MS / 1e3;
	if (!rc && !s->n_alive && lacks_worker(ws) && !ws->has_ended) {
		rc = worker_process_start(&ws->worker, clock_now(), e);
		if (ws->worker.pid && ws->has_died)
			ws_say(ws, "the worker died and is started again; its log is %s/log/worker",
				ws->library);
		ws->has_died &= !ws->worker.pid;
	}
	if (rc && rc != ERR_BUSY)
		ws_fail(ws, e);
	free(t);
}

/* Where there is work and nobody alive to do it, one is started. */
static void employ(struct ws *ws)
{
	struct search *s;

	ws->has_died &= ws->n_waiting > 0; /* else no other is started for what it left */
	if (ws->is_searching || !lacks_worker(ws) || clock_now() < ws->employ_at)
		return;
	s = xcalloc(1, sizeof(*s));
	s->task.run = search;
	s->task.end = end_search;
	ws->is_searching = true;
	background_do(ws->writer, &s->task);
}

static void reap(struct ws *ws)
{
	bool died;

	if (!worker_process_reap(&ws->worker, clock_now(), &died))
		return;
	ws_changed(ws);
	ws->has_died = died;
	if (died)
		ws_say(ws, "the worker died; its log is %s/log/worker", ws->library);
}

/* ---- the loop ----------------------------------------------------------- */

void ws_key(struct ws *ws, uint32_t key)
{
	const struct view *v = views[ws->screen];

	if (key == TERMINAL_INTERRUPT) {
		ws_interrupt(ws);
	} else if (key == TERMINAL_SUSPEND) {
		commands_run(ws, "suspend");
	} else if (ws->input) {
		input_key(ws, key);
	} else {
		forget_notice(ws, true);
		if (ws->typed.n || !v->key || !v->key(ws, key))
			commands_key(ws, key);
	}
}

static void take_event(struct ws *ws, uint32_t key)
{
	struct mouse m;

	if (key == TERMINAL_RESIZED) {
		ws_moved(ws);
		ws->dirty = DIRTY_ALL;
		terminal_wipe();
	} else if (key == TERMINAL_MOUSE) {
		while (terminal_mouse(&m))
			mouse_do(ws, &m);
	} else if (!paste_key(ws, key)) {
		ws_key(ws, key == '\n' ? '\r' : key); /* ^J is Enter */
	}
}

struct waits {
	int watch, signals; /* inotify and signalfd; -1: none */
};

/* A child has ended, which reap() looks for; or somebody stopped this process, not by
 * ^Z, and let it go on: what others wrote meanwhile is drawn over. */
static void take_signals(struct ws *ws, int fd)
{
	struct signalfd_siginfo s;
	bool goes_on = false;

	while (read(fd, &s, sizeof(s)) == sizeof(s))
		goes_on |= s.ssi_signo == SIGCONT;
	if (goes_on) {
		terminal_retake();
		ws->dirty = DIRTY_ALL;
	}
}

static bool is_loss(const struct inotify_event *event)
{
	return event->mask & IN_MOVE_SELF ||
	       (event->mask & (IN_DELETE | IN_MOVED_FROM) && event->len &&
		       !strcmp(event->name, "library.db"));
}

/* Files that are gone are written as before, and nobody will read them. */
static void take_changes(struct ws *ws, int fd)
{
	_Alignas(struct inotify_event) char bytes[4096];
	const struct inotify_event *event;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		for (const char *at = bytes; at < bytes + n; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			if (!is_loss(event))
				continue;
			ws->has_lost = true;
			ws_complain(ws,
				"the library %s was moved or removed: what changes now is "
				"lost; put it back and start again",
				ws->library);
		}
	ws->look_until = clock_now() + LOOK_S;
}

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
	comparing_follow(ws);
	sound_follow(ws);
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

static int patience(const struct ws *ws, const struct listen_view *v)
{
	int menu = ws->typed.n && !ws->has_menu ? (int)ws->settings.chord_menu_ms : 0;

	if (clock_now() < ws->look_until)
		return LOOK_MS;
	if (menu)
		return menu;
	if (v->is_settling)
		return SETTLE_MS;
	if (v->is_playing)
		return frame_wait_ms(ws);
	return lacks_worker(ws) || queue_view_moves(ws) ? RETRY_MS : -1;
}

static void open_menu(struct ws *ws)
{
	int64_t ms = ws->settings.chord_menu_ms;

	if (!ws->typed.n || ws->has_menu || !ms || clock_now() < ws->typed_at + (double)ms / 1e3)
		return;
	ws->has_menu = true;
	ws->dirty |= DIRTY_BODY;
}

/* A command that came by the socket, with what it says. */
static bool run_remote(void *ud, const char *line, struct str *answer)
{
	struct ws *ws = ud;
	struct str before = {0};
	/* These show nothing, and always say something. */
	const bool is_look = !strcmp(line, "status") || has_prefix(line, "screendump ");
	bool was_error = ws->is_error, ok;
	double said_at = ws->said_at;

	str_add(&before, str_get(&ws->message));
	if (!is_look)
		ws_say(ws, "%s", "");
	commands_run(ws, line);
	if (!is_look)
		ws_settle(ws); /* what came of it is the answer */
	ok = !ws->is_error && (is_look || ws->input != INPUT_ASK);
	str_add(answer, ws->input == INPUT_ASK && !is_look ? str_get(&ws->typing.question)
							   : str_get(&ws->message));
	if (is_look) { /* who sits here did not ask */
		ws_say(ws, "%s", str_get(&before));
		ws->is_error = was_error;
		ws->said_at = said_at;
	}
	str_done(&before);
	if (ws->dirty && !ws->has_ended)
		frame_draw(ws);
	return ok;
}

/* The other workstation of this library may have ended. */
static void take_over(struct ws *ws, bool is_told)
{
	struct err e = {0};
	int rc;

	if (!control_waits(ws->control))
		return;
	if (is_told)
		ws->look_until = clock_now() + LOOK_S;
	rc = control_take_over(ws->control, &e);
	if (rc < 0)
		ws_fail(ws, &e);
	else if (rc && !ws->is_error)
		ws_say(ws, "the other workstation has ended; remote comes here now");
}

static void wait_for_work(struct ws *ws, const struct waits *w)
{
	struct listen_view v;
	int sound[2];

	listen_read(ws->listen, &v);
	listen_fds(ws->listen, sound);
	struct pollfd fds[OWN_FDS + CONTROL_FDS] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = w->watch, .events = POLLIN}, {.fd = w->signals, .events = POLLIN},
		{.fd = sound[0], .events = POLLIN}, {.fd = sound[1], .events = POLLIN},
		{.fd = view_compose_fd(ws->compose), .events = POLLIN},
		{.fd = ws->wake_fd, .events = POLLIN}};

	control_fds(ws->control, fds + OWN_FDS);
	if (poll(fds, OWN_FDS + CONTROL_FDS, patience(ws, &v)) < 0)
		return; /* a signal: of a resize, say */
	if (fds[0].revents & (POLLHUP | POLLERR))
		ws->has_ended = true;
	if (fds[0].revents && terminal_is_blind())
		lines_take(ws);
	if (fds[1].revents)
		take_changes(ws, w->watch);
	if (fds[2].revents)
		take_signals(ws, w->signals);
	if (v.is_playing || v.is_loading || v.is_settling || fds[3].revents || fds[4].revents)
		go_on_listening(ws);
	if (v.is_playing || v.is_settling || fds[6].revents)
		frame_tick(ws, fds[6].revents != 0);
	if (fds[6].revents) {
		drain(ws->wake_fd);
		sound_arrived(ws);
		changes_work(ws);
	}
	if (fds[5].revents)
		view_compose_work(ws);
	if (queue_view_moves(ws))
		ws->dirty |= DIRTY_BODY;
	if (clock_now() < ws->look_until)
		look(ws);
	open_menu(ws);
	control_work(ws->control, fds + OWN_FDS, run_remote, ws);
	take_over(ws, fds[OWN_FDS].revents != 0);
	reap(ws);
}

/* What is dirty, and then what reading it has made so. */
static void draw(struct ws *ws)
{
	if (ws->dirty)
		forget_notice(ws, false);
	if (ws->dirty)
		frame_draw(ws);
}

static void run(struct ws *ws, const struct waits *w)
{
	while (!ws->has_ended) {
		uint32_t key;

		while (!ws->has_ended && (key = terminal_key()) != TERMINAL_NONE)
			take_event(ws, key);
		draw(ws);
		ws_tidy(ws);
		employ(ws);
		draw(ws);
		if (!ws->has_ended)
			wait_for_work(ws, w);
	}
}

/* ---- opening ------------------------------------------------------------ */

static int open_log(const char *library, const char *name, struct arena *a)
{
	const char *folder = arena_printf(a, "%s/log", library);

	mkdir(folder, 0700);
	return open(arena_printf(a, "%s/%s", folder, name),
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static struct waits open_waits(const char *library)
{
	struct waits w = {inotify_init1(IN_NONBLOCK | IN_CLOEXEC), -1};
	sigset_t told;

	/* The folder: the database's log comes and goes in it. */
	if (w.watch >= 0)
		inotify_add_watch(
			w.watch, library, IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_MOVE_SELF);
	sigemptyset(&told);
	sigaddset(&told, SIGCHLD);
	sigaddset(&told, SIGCONT);
	sigprocmask(SIG_BLOCK, &told, NULL);
	w.signals = signalfd(-1, &told, SFD_NONBLOCK | SFD_CLOEXEC);
	return w;
}

/* The file of lines that were typed, its folder made; NULL: nowhere. */
static const char *history_path(const struct environment *env, struct arena *a)
{
	const char *state = env->xdg_state_home, *home = env->paths.home, *folder;

	if (!(state && *state == '/')) {
		if (!(home && *home == '/'))
			return NULL;
		mkdir(arena_printf(a, "%s/.local", home), 0700);
		state = arena_printf(a, "%s/.local/state", home);
	}
	mkdir(state, 0700);
	folder = arena_printf(a, "%s/woodshed", state);
	mkdir(folder, 0700);
	return arena_printf(a, "%s/history", folder);
}

/* Of settings, themes and history. */
static void open_places(struct ws *ws)
{
	const struct environment *env = ws->env;

	history_open(&ws->typing.history, history_path(env, &ws->arena));
	ws->config = config_path(env, &ws->arena);
	ws->theme = *theme_default();
	ws->theme_dirs = (struct theme_dirs){
		theme_own_dir(env->xdg_config_home, env->paths.home, &ws->arena),
		paths_shared(env->program, "themes", &ws->arena)};
}

static int open_all(struct ws *ws, struct err *e)
{
	struct models models = {0};
	const char *folder = ws->env->program;
	int rc = globals_library(ws->globals, ws->env, &ws->arena, &ws->library, e);

	if (!rc)
		rc = library_open(ws->library, clock_unix_ms(), &ws->db, &ws->n_found, e);
	if (!rc)
		rc = globals_models(ws->globals, ws->env, &ws->arena, &models, e);
	if (rc)
		return rc;
	ws->model = models.chosen ? models.chosen->name : NULL;
	ws->worker = (struct worker_process){
		.program = arena_printf(&ws->arena, "%s/woodshed-engine", folder ? folder : "."),
		.library = ws->library,
		.log_fd = open_log(ws->library, "worker", &ws->arena)};
	ws->log_fd = open_log(ws->library, "sound", &ws->arena);
	ws->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ws->wake_fd < 0)
		return err_errno(e, errno, "cannot make an event counter");
	changes_open(ws);
	ws_changed(ws);
	ws->dirty = DIRTY_ALL;
	open_places(ws);
	listening_open(&ws->listening);
	view_compose_open(ws);
	rc = db_version(ws->db, &ws->version, e);
	if (!rc)
		rc = listen_open(ws->log_fd, &ws->listen, e);
	return rc ? rc : sound_open(ws, e);
}

static void close_all(struct ws *ws)
{
	listening_close(&ws->listening);
	comparing_close(&ws->comparing);
	sound_close(ws);
	listen_close(ws->listen);
	changes_close(ws);
	triage_close(&ws->triage);
	race_close(&ws->race);
	if (ws->wake_fd >= 0)
		close(ws->wake_fd);
	if (ws->worker.log_fd > 0)
		close(ws->worker.log_fd);
	if (ws->log_fd > 0)
		close(ws->log_fd);
	str_done(&ws->title);
	str_done(&ws->tail);
	view_compose_close(ws->compose);
	db_close(ws->db);
	library_view_done(&ws->takes);
	library_view_done(&ws->trash);
	takes_prompts_done(&ws->prompts);
	queue_view_done(&ws->queue);
	arena_done(&ws->log.arena);
	arena_done(&ws->lineage.arena);
	line_edit_done(&ws->help.filter);
	line_edit_done(&ws->line);
	input_close(ws);
	keymap_close(&ws->keymap);
	str_done(&ws->before);
	str_done(&ws->paste);
	str_done(&ws->message);
	arena_done(&ws->arena);
}

/* The workstation is of use without. */
static void open_control(struct ws *ws)
{
	const char *path = control_path(ws->env->xdg_runtime_dir, ws->library, &ws->arena);
	struct err e = {0};

	if (control_open(path, &ws->control, &e))
		ws_fail(ws, &e);
	else if (control_waits(ws->control) && !ws->message.n)
		ws_say(ws, "another workstation has this library open too; remote goes there");
}

/* Of an export that runs; async-signal-safe. */
static void drop_half_files(void)
{
	audio_writer_unlink_all();
	denoise_process_abandon();
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
	struct str found = {0};
	int rc = terminal_open(&(struct terminal_desc){&env, ws->log_fd, drop_half_files}, e);

	if (!rc) {
		ws->colors = colors_open(&env, &ws->theme);
		paint_with(ws->colors, ws->globals->plain);
		settings_reload(ws);
		view_compose_tell(ws);
		open_control(ws);
		if (ws->n_found) {
			library_tell_found(ws->n_found, &found);
			ws_complain(ws, "%s", found.s);
			str_done(&found);
		}
		if (terminal_is_blind())
			lines_show(ws);
		else
			frame_draw(ws);
		run(ws, &w);
		control_close(ws->control);
		listen_close(ws->listen); /* sound libraries print: while stderr is the log's */
		ws->listen = NULL;
		paint_with(NULL, false);
		colors_close(ws->colors);
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
	struct ws ws = {.globals = g, .env = env, .wake_fd = -1};
	struct err e = {0};
	int rc;

	/* Lists and sounds come and go on several threads: what is freed goes back. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	setlocale(LC_CTYPE, ""); /* what is a character; numbers stay as they are */
	rc = open_all(&ws, &e);

	if (!rc)
		rc = show(&ws, &e);
	close_all(&ws);
	return rc ? verb_fail(rc, &e) : 0;
}
