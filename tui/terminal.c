/* The terminal: taken over, and given back.
 *
 * Handlers of signals that end the program may use write(), tcsetattr() and
 * little else (signal-safety(7)), so they do not call endwin(): one string undoes
 * all that was switched on, then the signal does what it would have done. */
#include "tui/terminal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "library/base/err.h"
#include "tui/colors.h"
#include "tui/keys.h"
#include "tui/stderr.h"

enum { MICE_MAX = 8 }; /* events that ncurses keeps */

static struct {
	SCREEN *screen;
	struct termios before;
	int saved_stderr; /* -1: stderr is as it was */
	int log_fd;
	MEVENT mice[MICE_MAX]; /* that were read and not told yet, the latest first */
	int n_mice;
	bool has_modes;           /* it is drawn on: pastes are told apart */
	bool has_drags;           /* were asked for */
	mbstate_t half;           /* of a character whose rest has not come yet */
	FILE *nowhere;            /* what is drawn on in place of a terminal, or NULL */
	void (*on_end)(void);     /* of terminal_desc */
	void (*stop)(int);        /* what ncurses does about Ctrl-Z */
	struct sigaction acts[3]; /* of from_keys, while the terminal is lent */
} the = {.saved_stderr = -1};

/* Bracketed paste, mouse, application keys, attributes, cursor, alternate screen. */
static const char undo[] = "\033[?2004l\033[?1006l\033[?1002l\033[?1000l\033[?1l\033>\033[0m"
			   "\033[?25h\033[?1049l";

static const int from_keys[] = {SIGINT, SIGQUIT, SIGTSTP};

enum { N_KEYS = sizeof(from_keys) / sizeof(*from_keys) };

/* What moves while a button is held comes, too; ncurses asks for clicks alone. */
static const char drags_on[] = "\033[?1002h", drags_off[] = "\033[?1002l";

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";

/* How long the rest of a key may come after its Esc, and thus what an Esc alone costs.  A
 * terminal sends a key at once, and a line that takes it apart is rare. */
enum { ESCAPE_MS = 15 };

enum { PASTE = 0x7000, PASTE_END }; /* numbers for curses, above its own */

static void tell(const char *s)
{
	int saved = errno;

	if (write(STDOUT_FILENO, s, strlen(s)) < 0)
		errno = saved; /* nobody is left to tell */
}

/* What ncurses does not know of; on after it has switched on its own, off before. */
static void tell_modes(bool are_on)
{
	if (!the.has_modes)
		return;
	tell(are_on ? paste_on : paste_off);
	if (the.has_drags)
		tell(are_on ? drags_on : drags_off);
}

/* ---- Ctrl-Z ------------------------------------------------------------- */

/* Around what ncurses does: it comes back when the program goes on. */
static void on_stop(int number)
{
	tell_modes(false);
	the.stop(number);
	tell_modes(true);
}

static void catch_stop(void)
{
	struct sigaction act;

	if (sigaction(SIGTSTP, NULL, &act) || act.sa_handler == SIG_DFL ||
		act.sa_handler == SIG_IGN || act.sa_handler == on_stop)
		return;
	the.stop = act.sa_handler;
	act.sa_handler = on_stop;
	sigaction(SIGTSTP, &act, NULL);
}

/* The terminal's modes are no business of ours any more. */
static void release_stop(void)
{
	if (the.stop)
		signal(SIGTSTP, SIG_DFL);
}

/* ---- the end that nobody planned ---------------------------------------- */

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGHUP, SIGQUIT};

enum { N_DEADLY = sizeof(deadly) / sizeof(*deadly), STACK_BYTES = 64 * 1024 };

static void on_deadly(int number)
{
	if (the.on_end) /* first: a terminal that goes away sends more than one signal */
		the.on_end();
	if (the.screen && !the.nowhere) {
		tcflow(STDOUT_FILENO, TCOON); /* ^S must not keep it alive */
		tell(undo);
		tcsetattr(STDIN_FILENO, TCSANOW, &the.before);
	}
	signal(number, SIG_DFL);
	raise(number);
}

/* ^C ends nothing where it is no key either: while the program comes back from ^Z, or puts
 * away what it has on its way out.  What another program sends does. */
static void on_interrupt(int number, siginfo_t *from, void *context)
{
	(void)context;
	if (from->si_code != SI_KERNEL) /* the terminal's */
		on_deadly(number);
}

/* Before newterm(), whose own handler would end the program.  Not SIG_IGN: programs that
 * are started would inherit it. */
static void catch_interrupt(void)
{
	struct sigaction act = {.sa_sigaction = on_interrupt, .sa_flags = SA_RESTART | SA_SIGINFO};

	sigaction(SIGINT, &act, NULL);
}

/* For good: on its way out the program may still be at what on_end() is about. */
static void catch_deadly(void)
{
	static char stack[STACK_BYTES];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction act = {
		.sa_handler = on_deadly, .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};

	sigaltstack(&alternate, NULL);
	for (int i = 0; i < N_DEADLY; i++)
		sigaction(deadly[i], &act, NULL);
}

/* ---- opening and closing ------------------------------------------------ */

/* ^C and ^Z are keys: the one ends what is half done, and never the program; before the
 * other takes effect the sound is paused. */
static void take_signals(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t))
		return;
	t.c_cc[VINTR] = t.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	def_prog_mode();
}

static void set_modes(void)
{
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, false);
	keypad(stdscr, true);
	meta(stdscr, true);
	nodelay(stdscr, true);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	mouseinterval(0);
	define_key("\033[200~", PASTE);
	define_key("\033[201~", PASTE_END);
	the.has_modes = true;
	tell_modes(true);
	take_signals();
}

/* Screens are drawn as if on a terminal of before 1980, and go nowhere. */
static int open_blind(const struct terminal_desc *d, struct err *e)
{
	struct colors_env env = *d->env;

	env.term = "vt100";
	env.is_mono = true;
	the.saved_stderr = stderr_divert(d->log_fd);
	the.nowhere = fopen("/dev/null", "r+e");
	if (!the.nowhere || colors_newterm(&env, the.nowhere, the.nowhere, &the.screen, NULL)) {
		the.screen = NULL;
		stderr_return(&the.saved_stderr);
		return err_set(e, ERR_UNSUPPORTED,
			"this terminal cannot place its cursor (TERM is '%.40s'); set TERM to what "
			"it is, or use the verbs: woodshed --help",
			d->env->term ? d->env->term : "");
	}
	catch_deadly();
	nodelay(stdscr, true);
	return 0;
}

bool terminal_is_blind(void)
{
	return the.nowhere;
}

int terminal_open(const struct terminal_desc *d, struct err *e)
{
	int rc;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &the.before))
		return err_set(e, ERR_UNSUPPORTED,
			"the workstation needs a terminal; the verbs (woodshed --help) need none");
	catch_interrupt();
	the.on_end = d->on_end;
	the.log_fd = d->log_fd;
	the.saved_stderr = stderr_divert(d->log_fd);
	rc = colors_newterm(d->env, stdout, stdin, &the.screen, e);
	if (rc) {
		the.screen = NULL;
		stderr_return(&the.saved_stderr);
		return rc;
	}
	if (!tigetstr("cup")) {
		terminal_close();
		return open_blind(d, e);
	}
	set_modes();
	catch_deadly(); /* after newterm(), which sets handlers of its own */
	catch_stop();
	return 0;
}

void terminal_close(void)
{
	if (!the.screen)
		return;
	if (!the.nowhere)
		release_stop();
	tell_modes(false);
	endwin();
	delscreen(the.screen);
	the.screen = NULL;
	the.has_modes = the.has_drags = false;
	if (the.nowhere)
		fclose(the.nowhere);
	the.nowhere = NULL;
	tcsetattr(STDIN_FILENO, TCSANOW, &the.before);
	stderr_return(&the.saved_stderr);
}

void terminal_lend(void)
{
	if (!the.screen)
		return;
	for (int i = 0; i < N_KEYS; i++) {
		sigaction(from_keys[i], NULL, &the.acts[i]);
		signal(from_keys[i], from_keys[i] == SIGTSTP ? SIG_DFL : SIG_IGN);
	}
	tell_modes(false);
	def_prog_mode();
	endwin();
	tcsetattr(STDIN_FILENO, TCSADRAIN, &the.before);
	stderr_return(&the.saved_stderr);
}

void terminal_resume(void)
{
	if (!the.screen)
		return;
	the.saved_stderr = stderr_divert(the.log_fd);
	for (int i = 0; i < N_KEYS; i++)
		sigaction(from_keys[i], &the.acts[i], NULL);
	reset_prog_mode();
	clearok(curscr, true);
	refresh();
	tell_modes(true);
}

void terminal_retake(void)
{
	if (!the.screen || the.nowhere)
		return;
	reset_prog_mode(); /* in the background this stops, and nothing is written */
	tell_modes(false);
	endwin();
	reset_prog_mode();
	clearok(curscr, true);
	refresh();
	tell_modes(true);
}

/* By the handler of ncurses. */
void terminal_suspend(void)
{
	raise(SIGTSTP);
}

void terminal_use_mouse(bool wanted)
{
	const mmask_t mask = BUTTON1_PRESSED | BUTTON1_RELEASED | REPORT_MOUSE_POSITION |
			     BUTTON4_PRESSED | BUTTON5_PRESSED;
	const bool had_drags = the.has_drags;

	if (!the.screen || the.nowhere)
		return;
	if (had_drags && !wanted)
		tell(drags_off);
	the.has_drags = mousemask(wanted ? mask : 0, NULL) != 0;
	if (the.has_drags)
		tell(drags_on);
}

void terminal_wipe(void)
{
	werase(stdscr);
}

bool terminal_send(const char *bytes, size_t n)
{
	static const char *const without[] = {"linux", "vt100", "vt102", "vt220", "dumb"};

	for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
		if (!strcmp(termname(), without[i]))
			return false;
	while (n) { /* refresh() has flushed what came before */
		const ssize_t sent = write(STDOUT_FILENO, bytes, n);

		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* ---- keys --------------------------------------------------------------- */

/* Those for which ncurses has a number, but no name in C. */
static uint32_t extended_key(wint_t c)
{
	static const struct {
		const char *capability;
		uint32_t key;
	} keys[] = {{"kLFT5", KEYS_C_LEFT}, {"kRIT5", KEYS_C_RIGHT}};
	const char *name = keyname((int)c);

	for (size_t i = 0; name && i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i].capability, name))
			return keys[i].key;
	return TERMINAL_NONE;
}

static uint32_t function_key(wint_t c)
{
	static const struct {
		wint_t curses;
		uint32_t key;
	} keys[] = {
		{KEY_UP, KEYS_UP},
		{KEY_DOWN, KEYS_DOWN},
		{KEY_LEFT, KEYS_LEFT},
		{KEY_RIGHT, KEYS_RIGHT},
		{KEY_SR, KEYS_S_UP},
		{KEY_SF, KEYS_S_DOWN},
		{KEY_HOME, KEYS_HOME},
		{KEY_END, KEYS_END},
		{KEY_PPAGE, KEYS_PGUP},
		{KEY_NPAGE, KEYS_PGDN},
		{KEY_IC, KEYS_INSERT},
		{KEY_DC, KEYS_DELETE},
		{KEY_BTAB, KEYS_S_TAB},
		{KEY_BACKSPACE, KEYS_BACKSPACE},
		{KEY_ENTER, '\r'},
		{KEY_RESIZE, TERMINAL_RESIZED},
		{KEY_MOUSE, TERMINAL_MOUSE},
		{PASTE, TERMINAL_PASTE},
		{PASTE_END, TERMINAL_PASTE_END},
	};

	if (c >= KEY_F(1) && c <= KEY_F(12))
		return KEYS_F1 + (c - KEY_F(1));
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].curses == c)
			return keys[i].key;
	return c > KEY_MAX ? extended_key(c) : TERMINAL_NONE;
}

/* get_wch() waits for the rest of what is no character and swallows the keys that come
 * next, the end of a paste among them; so its bytes are put together here.  A byte that
 * begins nothing is U+FFFD; a character that breaks off is left out. */
static uint32_t read_one(bool *ret_any)
{
	size_t n;
	wchar_t c;

	do {
		const int byte = getch();

		*ret_any = byte != ERR;
		if (byte == ERR) /* the rest of a character comes later */
			return TERMINAL_NONE;
		if (byte > UCHAR_MAX) {
			the.half = (mbstate_t){0};
			return function_key((wint_t)byte);
		}
		n = mbrtowc(&c, &(char){(char)byte}, 1, &the.half);
		if (n == (size_t)-1) {
			the.half = (mbstate_t){0};
			n = mbrtowc(&c, &(char){(char)byte}, 1, &the.half);
		}
	} while (n == (size_t)-2);
	if (n == (size_t)-1) {
		the.half = (mbstate_t){0};
		return 0xfffd;
	}
	if (c == 3 || c == 26)
		return c == 3 ? TERMINAL_INTERRUPT : TERMINAL_SUSPEND;
	return c == 8 || c == 127 ? KEYS_BACKSPACE : (uint32_t)c;
}

/* Alt comes as Esc and the key at once. */
uint32_t terminal_key(void)
{
	bool any;
	uint32_t key;

	do {
		key = read_one(&any);
	} while (any && key == TERMINAL_NONE); /* a key that has no name here */
	if (!any)
		return TERMINAL_NONE;
	if (key == 27) {
		uint32_t second = read_one(&any);

		if (any && second == 27) { /* twice Esc, quickly */
			ungetch(27);
			return key;
		}
		if (any && second != TERMINAL_NONE && second < TERMINAL_NONE)
			return (second == '\n' ? '\r' : second) | KEYS_ALT;
		if (any && second >= KEY_NAMED)
			return second | KEYS_ALT;
	}
	return key;
}

/* What came at once is one key of ncurses, and getmouse() tells the latest first. */
bool terminal_mouse(struct mouse *ret)
{
	MEVENT m;

	if (!the.n_mice)
		while (the.n_mice < MICE_MAX && getmouse(&the.mice[the.n_mice]) == OK)
			the.n_mice++;
	if (!the.n_mice)
		return false;
	m = the.mice[--the.n_mice];
	*ret = (struct mouse){.x = m.x, .y = m.y};
	if (m.bstate & BUTTON4_PRESSED)
		ret->what = MOUSE_WHEEL_UP;
	else if (m.bstate & BUTTON5_PRESSED)
		ret->what = MOUSE_WHEEL_DOWN;
	else if (m.bstate & BUTTON1_PRESSED)
		ret->what = MOUSE_PRESS;
	else
		ret->what = m.bstate & BUTTON1_RELEASED ? MOUSE_RELEASE : MOUSE_DRAG;
	return true;
}
