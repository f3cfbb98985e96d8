/* How many tokens a prompt has. */
#include "tui/token_count.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/str.h"
#include "tui/child.h"

struct token_count {
	pid_t pid;           /* 0: it is gone */
	int fd;              /* its stdin and stdout */
	struct str question; /* what of it is not sent yet */
	struct str asked;    /* the last question */
	struct str next;     /* the question after it; "": none */
	bool is_waiting;     /* for an answer */
	struct str answer;   /* as far as it came */
	bool is_known;
	size_t n, max;
	struct str own; /* as its last answer had it */
};

static void give_up(struct token_count *t)
{
	if (t->fd >= 0)
		close(t->fd); /* it ends when nothing can be read any more */
	t->fd = -1;
	t->is_known = false;
}

static bool start(
	struct token_count *t, const char *program, const char *library, int end, int log_fd)
{
	const char *argv[] = {"woodshed-engine", "--quiet", "--library", library, "tokens", NULL};
	const struct child_desc desc = {
		.program = program,
		.argv = argv,
		.in = end,
		.out = end,
		.err = log_fd,
		.has_own_group = true,
	};

	if (!child_start(&desc, &t->pid))
		return true;
	t->pid = 0;
	return false;
}

struct token_count *token_count_open(const char *program, const char *library, int log_fd)
{
	struct token_count *t = xcalloc(1, sizeof(*t));
	int ends[2];

	t->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return t;
	t->fd = ends[0];
	fcntl(t->fd, F_SETFL, O_NONBLOCK);
	if (!start(t, program, library, ends[1], log_fd))
		give_up(t);
	close(ends[1]);
	return t;
}

int token_count_fd(const struct token_count *t)
{
	return t->fd;
}

/* What the socket takes; a question is small, and the one before is answered. */
static void send_question(struct token_count *t)
{
	while (t->fd >= 0 && t->question.n) {
		ssize_t n = send(t->fd, t->question.s, t->question.n, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR) {
			give_up(t);
			return;
		}
		if (n > 0) {
			memmove(t->question.s, t->question.s + n, t->question.n - (size_t)n + 1);
			t->question.n -= (size_t)n;
		}
	}
}

static void send_next(struct token_count *t)
{
	str_clear(&t->question);
	str_add(&t->question, str_get(&t->next));
	str_clear(&t->next);
	t->is_waiting = t->question.n > 0;
	send_question(t);
}

void token_count_ask(struct token_count *t, const char *model, const char *text)
{
	struct str question = {0};

	str_printf(&question, "%s\t", model);
	for (; *text; text++)
		str_add_char(&question, *text == '\n' ? ' ' : *text);
	str_add_char(&question, '\n');
	if (strcmp(str_get(&question), str_get(&t->asked))) {
		str_clear(&t->asked);
		str_add(&t->asked, str_get(&question));
		str_clear(&t->next);
		str_add(&t->next, str_get(&question));
		if (!t->is_waiting)
			send_next(t);
	}
	str_done(&question);
}

static void take_answer(struct token_count *t)
{
	const char *own = strchr(str_get(&t->answer), '\t');

	str_clear(&t->own);
	str_add(&t->own, own && !t->next.n ? own + 1 : ""); /* that may be of another model */
	t->is_known = sscanf(str_get(&t->answer), "%zu %zu", &t->n, &t->max) == 2;
	str_clear(&t->answer);
	t->is_waiting = false;
	if (t->next.n)
		send_next(t);
}

bool token_count_work(struct token_count *t)
{
	bool is_another = false;
	char bytes[512];
	ssize_t n;

	while (t->fd >= 0 && (n = read(t->fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return is_another;
		if (n < 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != '\n') {
				str_add_char(&t->answer, bytes[i]);
			} else {
				take_answer(t);
				is_another = true;
			}
	}
	give_up(t);
	return true;
}

bool token_count_get(const struct token_count *t, size_t *ret_n, size_t *ret_max)
{
	*ret_n = t->n;
	*ret_max = t->max;
	return t->is_known;
}

const char *token_count_own(const struct token_count *t)
{
	return str_get(&t->own);
}

void token_count_close(struct token_count *t)
{
	if (!t)
		return;
	give_up(t);
	if (t->pid) {
		kill(t->pid, SIGKILL); /* it may be stopped */
		child_wait(t->pid);
	}
	str_done(&t->question);
	str_done(&t->next);
	str_done(&t->asked);
	str_done(&t->answer);
	str_done(&t->own);
	free(t);
}
