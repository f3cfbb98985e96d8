/* What reaches beyond the screens: the shell, files of the screen, what others ask. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "library/base/jsonw.h"
#include "library/globals.h"
#include "tui/child.h"
#include "tui/listen.h"
#include "tui/screendump.h"
#include "tui/terminal.h"
#include "tui/ws.h"

/* ---- the shell ---------------------------------------------------------- */

/* The user's shell with the text as it was typed, or alone; its status, or -1. */
static int run_shell(const char *shell, const char *text)
{
	const char *argv[] = {shell, *text ? "-c" : NULL, text, NULL};
	const struct child_desc desc = {
		.program = shell, .argv = argv, .has_default_signals = true};
	pid_t pid;
	int why = child_start(&desc, &pid);

	if (!why)
		return child_wait(pid);
	errno = why;
	return -1;
}

static void wait_for_enter(void)
{
	static const char text[] = "\n[Enter]";
	char c = 0;

	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		return;
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

/* ^C, ^\ and ^Z are what the terminal sends the shell meanwhile; here they end nothing. */
static int run_in_foreground(const char *shell, const char *text)
{
	static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP};
	enum { N_SIGNALS = sizeof(signals) / sizeof(*signals) };
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before[N_SIGNALS];
	int status, why;

	for (int i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &ignore, &before[i]);
	status = run_shell(shell, text);
	why = errno;
	if (*text && status >= 0)
		wait_for_enter();
	for (int i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	errno = why;
	return status;
}

static void do_shell(struct ws *ws, const char *args)
{
	const char *shell = ws->env->shell && *ws->env->shell ? ws->env->shell : "/bin/sh";
	int status, why;

	terminal_lend();
	status = run_in_foreground(shell, args);
	why = errno;
	terminal_resume();
	if (status < 0)
		ws_complain(ws, "cannot run %s: %s; SHELL names the shell", shell, strerror(why));
	else if (WIFSIGNALED(status))
		ws_say(ws, "ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		ws_say(ws, "exit status %d", WEXITSTATUS(status));
	ws_changed(ws);
	ws->dirty = DIRTY_ALL;
}

static void do_type_shell(struct ws *ws, const char *args)
{
	ws_input(ws, INPUT_COMMAND, "! ");
}

/* What is played pauses, and goes on with the program. */
static void do_suspend(struct ws *ws, const char *args)
{
	static const struct timespec fade = {.tv_nsec = 30 * 1000000};
	struct listen_view v;

	listen_read(ws->listen, &v);
	if (v.is_playing) {
		listen_pause(ws->listen);
		nanosleep(&fade, NULL);
	}
	terminal_suspend();
	if (v.is_playing)
		listen_pause(ws->listen);
	ws_changed(ws);
	ws->dirty = DIRTY_ALL;
}

/* ---- for others --------------------------------------------------------- */

static void do_status(struct ws *ws, const char *args)
{
	struct listen_view v;
	struct str out = {0};

	listen_read(ws->listen, &v);
	jsonw_begin(&out);
	jsonw_text(&out, "screen", views[ws->screen]->name);
	if (!comparing_hidden(ws, v.take))
		jsonw_u64(&out, "take", (uint64_t)v.take);
	jsonw_num(&out, "position", v.position_s);
	jsonw_num(&out, "length", comparing_length(ws, &v));
	jsonw_bool(&out, "playing", v.is_playing);
	jsonw_u64(&out, "volume", (uint64_t)ws->percent);
	jsonw_u64(&out, "jobs", (uint64_t)ws->n_waiting);
	jsonw_bool(&out, "paused", ws->is_paused);
	jsonw_end(&out);
	ws_say(ws, "%s", str_get(&out));
	str_done(&out);
}

/* As if they were typed, for `map` and for others; written one after another. */
static void do_keys(struct ws *ws, const char *args)
{
	struct err e = {0};

	if (ws->depth >= WS_DEPTH_MAX) {
		ws_complain(ws, "these keys type themselves");
		return;
	}
	ws->depth++;
	for (size_t n = 0; *args && !ws->has_ended; args += n) {
		uint32_t key;

		n = key_parse(args, &key, &e);
		if (!n) {
			ws_fail(ws, &e);
			break;
		}
		ws_key(ws, key);
	}
	ws->depth--;
}

static void do_screendump(struct ws *ws, const char *args)
{
	struct err e = {0};

	ws_settle(ws);
	frame_draw(ws);
	if (screendump_write(args, &e))
		ws_fail(ws, &e);
	else
		ws_say(ws, "written to %s", args);
}

static const struct command commands[] = {
	{"!", "[COMMAND]", "run a command of the shell, or a shell", do_shell, false},
	{"shell", "", "type a command for the shell", do_type_shell, false},
	{"suspend", "", "back to the shell until fg", do_suspend, false},
	{"keys", "KEYS", "as if they were typed, such as gg or :sort<Enter>", do_keys, true},
	{"status", "", "what goes on, as JSON", do_status, false},
	{"screendump", "FILE", "write the screen to a file, with its colours", do_screendump, true},
};

static const struct binding bindings[] = {
	{ON_ANY, "!", "shell"},
};

const struct command_table commands_system = COMMAND_TABLE(commands, bindings);
