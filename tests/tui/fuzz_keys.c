/* fuzz-keys keys|sizes N SEED COMMAND...: the workstation under N random events.
 *
 *	keys	keys, escape sequences, clicks, pieces of text; now and then a size
 *	sizes	sizes from 1x1 to 250x80
 *
 * It may leave when it is told to (Q) and is started again; any other end than with
 * status 0 is a failure: a signal, or what AddressSanitizer makes of its findings.  So
 * is one that does not leave at the end when Q is typed. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/base/splitmix.h"
#include "tests/tui/pty.h"

enum { COLUMNS_MAX = 250, LINES_MAX = 80, PATIENCE_S = 60 };

static struct {
	char **argv;
	pid_t pid;
	int fd;
	uint64_t draw;
	uint64_t n_starts, n_bytes;
	int columns, lines;
} the;

static unsigned below(unsigned n)
{
	return (unsigned)(splitmix64(the.draw += SPLITMIX_STEP) % n);
}

/* ---- the program -------------------------------------------------------- */

static void start(void)
{
	the.pid = pty_start(the.columns, the.lines, the.argv, &the.fd);
	if (the.pid < 0) {
		fprintf(stderr, "no terminal: %s\n", strerror(errno));
		exit(99);
	}
	the.n_starts++;
	/* Its first screen: keys before that are the terminal's. */
	pty_drain(the.fd, 5000);
	pty_drain(the.fd, 300);
}

/* It is gone: with what status? */
static void bury(void)
{
	int status;

	for (int i = 0; waitpid(the.pid, &status, WNOHANG) != the.pid; i++) {
		usleep(10000);
		if (i == PATIENCE_S * 100)
			kill(the.pid, SIGKILL);
	}
	close(the.fd);
	the.pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	fprintf(stderr, "it said: %s\nit ended with %s %d\n", pty_last(),
		WIFEXITED(status) ? "status" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	exit(1);
}

/* Waits until it has drawn and draws no more. */
static void settle(int ms)
{
	if (pty_drain(the.fd, ms) && pty_drain(the.fd, 2))
		return;
	bury();
	start();
}

static void send_bytes(const char *bytes, size_t n)
{
	double until = clock_now() + PATIENCE_S;

	the.n_bytes += n;
	while (n) {
		ssize_t k = write(the.fd, bytes, n);

		if (k > 0) {
			bytes += k;
			n -= (size_t)k;
		}
		if (!pty_drain(the.fd, k > 0 ? 0 : 10)) {
			bury();
			start();
			return;
		}
		if (clock_now() > until) {
			fprintf(stderr, "it takes no keys\n");
			kill(the.pid, SIGABRT);
			bury();
		}
	}
}

/* ---- events ------------------------------------------------------------- */

static void send_text(const char *text)
{
	send_bytes(text, strlen(text));
}

static void sequence(void)
{
	static const char *const sequences[] = {"\033OA", "\033OB", "\033OC", "\033OD", "\033[5~",
		"\033[6~", "\033OH", "\033OF", "\033[2~", "\033[3~", "\033[Z", "\033OP", "\033[15~",
		"\033[1;2A", "\033[1;2B", "\033", "\033\033", "\033[", "\033[<", "\033\r",
		"\033[200~", "\t", "\r", "\177", "\b", "\033[999;999H", "\033P", "\033]0;x\007"};

	send_text(sequences[below(sizeof(sequences) / sizeof(*sequences))]);
}

static void click(void)
{
	static const unsigned buttons[] = {0, 0, 0, 1, 2, 32, 64, 65, 66, 128};
	char text[64];

	snprintf(text, sizeof(text), "\033[<%u;%u;%u%c", buttons[below(10)],
		1 + below((unsigned)the.columns + 2), 1 + below((unsigned)the.lines + 2),
		below(4) ? 'M' : 'm');
	send_text(text);
}

static void words(void)
{
	static const char *const texts[] = {"dur>3", "rating:4", "lofi", "\u65e5\u672c", "e\u0301",
		"\U0001f3b9", ":sort rating\r", ":theme nord\r", ":theme\r", ":set columns off\r",
		":set columns on\r", ":screen setup\r", ":move 9999999999\r", ":page -0.5\r",
		":map any x keys jj\r", ":unmap any x\r", ":seek 1e9\r", ":volume -5\r",
		":set \t\t\t", ":s\t\t\r", "/tag:keep\r", "/\"\r", "?undo\r", ":rate 3\r",
		":tag x\r", ":keys gg\r", ":frobnicate\r", ":save-filter a\r", "F", ":reload\r",
		"\x80\xff", "!x\r\r"};

	send_text(texts[below(sizeof(texts) / sizeof(*texts))]);
}

static void resize(void)
{
	the.columns = 1 + (int)below(COLUMNS_MAX);
	the.lines = 1 + (int)below(LINES_MAX);
	pty_resize(the.fd, the.columns, the.lines);
	settle(20);
}

static void event(void)
{
	static const char common[] = "jkGgfuDSzrtiqeFxRKJps0123456789/?: ,.<>+-=vmy";
	unsigned kind = below(100);
	char byte = 0;

	if (kind < 45)
		byte = common[below(sizeof(common) - 1)];
	else if (kind < 60)
		sequence();
	else if (kind < 75)
		click();
	else if (kind < 85)
		words();
	else if (kind < 99)
		byte = (char)(below(10) ? 32 + below(95) : 1 + below(31));
	else
		resize();
	if (!below(8))
		settle(5); /* else many are taken at once */
	/* Not what the terminal keeps: ^\ is SIGQUIT, ^S and ^Q stop its output. */
	if (byte && !strchr("\034\023\021", byte))
		send_bytes(&byte, 1);
}

/* Whether it goes within that time. */
static bool has_gone(int ms)
{
	for (double until = clock_now() + ms / 1e3; clock_now() < until;)
		if (!pty_drain(the.fd, 10)) {
			bury();
			return true;
		}
	return false;
}

/* Out of whatever it is in, and away. */
static void leave(void)
{
	static const char *const ways[] = {"\003", "\r", "\033", "\033", "\003", "Q"};

	for (int i = 0; i < 5; i++)
		for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
			if (write(the.fd, ways[w], strlen(ways[w])) < 0)
				break; /* it takes none now, or is gone */
			/* Esc and a key at once are Alt and the key; closing takes a while,
			 * and ^C would be the terminal's again. */
			if (has_gone(*ways[w] == 'Q' ? 10000 : 60))
				return;
		}
	fprintf(stderr, "Q does not end it\n");
	kill(the.pid, SIGABRT);
	bury();
}

int main(int argc, char **argv)
{
	long n;

	if (argc < 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	n = strtol(argv[2], NULL, 10);
	the.draw = strtoull(argv[3], NULL, 10);
	the.argv = argv + 4;
	the.columns = 80;
	the.lines = 24;
	start();
	for (long i = 0; i < n; i++)
		(strcmp(argv[1], "sizes") ? event : resize)();
	leave();
	printf("%ld events, %llu bytes, %llu starts\n", n, (unsigned long long)the.n_bytes,
		(unsigned long long)the.n_starts);
	return 0;
}
