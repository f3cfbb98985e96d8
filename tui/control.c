/* The socket on which a running workstation takes commands. */
#include "tui/control.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/base/str.h"

enum { ANSWER_WAIT_S = 30 };

struct client {
	int fd; /* -1: nobody */
	char line[CONTROL_LINE_MAX + 1];
	size_t n;
};

struct control {
	char *path;            /* owned */
	int fd;                /* -1: another workstation has the socket */
	int lock_fd, watch_fd; /* the watch tells when the lock may be free; -1: none */
	struct client clients[CONTROL_CLIENTS_MAX];
};

/* ---- where -------------------------------------------------------------- */

const char *control_path(const char *runtime_dir, const char *library, struct arena *a)
{
	char real[PATH_MAX], hex[65];
	struct sha256 hash;
	struct stat st;

	if (!runtime_dir || *runtime_dir != '/' || stat(runtime_dir, &st) || !S_ISDIR(st.st_mode))
		return arena_printf(a, "%s/control", library);
	if (!realpath(library, real))
		real[0] = 0;
	sha256_init(&hash);
	sha256_add(&hash, real, strlen(real));
	sha256_hex(&hash, hex);
	return arena_printf(a, "%s/woodshed/%.16s", runtime_dir, hex);
}

/* Addresses of sockets are short: the folder is named by its descriptor. */
static int address(const char *path, struct sockaddr_un *ret, int *ret_folder)
{
	char folder[PATH_MAX], name[PATH_MAX];
	int n;

	n = (int)strlen(path);
	if (n >= PATH_MAX)
		return ENAMETOOLONG;
	memcpy(folder, path, (size_t)n + 1);
	memcpy(name, path, (size_t)n + 1);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	*ret_folder = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return errno;
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_folder,
		basename(name));
	if (n < (int)sizeof(ret->sun_path))
		return 0;
	close(*ret_folder);
	return ENAMETOOLONG;
}

static int socket_at(
	const char *path, int (*use)(int, const struct sockaddr *, socklen_t), int *ret)
{
	struct sockaddr_un to;
	int folder, why = address(path, &to, &folder);

	if (why)
		return why;
	*ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*ret < 0 || use(*ret, (const struct sockaddr *)&to, sizeof(to))) {
		why = errno;
		if (*ret >= 0)
			close(*ret);
	}
	close(folder);
	return why;
}

/* ---- opening ------------------------------------------------------------ */

static int begin_listening(struct control *c)
{
	mode_t mask;
	int why;

	unlink(c->path); /* whose it was is dead: the lock is ours */
	mask = umask(0177);
	why = socket_at(c->path, bind, &c->fd);
	umask(mask);
	if (why) {
		c->fd = -1;
		return why;
	}
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) || listen(c->fd, CONTROL_CLIENTS_MAX)) {
		why = errno;
		unlink(c->path);
		close(c->fd);
		c->fd = -1;
	}
	return why;
}

/* Whoever holds the lock closes its file when it ends, in whatever way.  This one's
 * stays open: its closing would be told as well. */
static void watch(struct control *c, const char *lock)
{
	c->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->watch_fd >= 0)
		inotify_add_watch(c->watch_fd, lock, IN_CLOSE_WRITE);
}

int control_open(const char *path, struct control **ret, struct err *e)
{
	struct control *c = xcalloc(1, sizeof(*c));
	struct arena a = {0};
	const char *lock = arena_printf(&a, "%s.lock", path);
	int rc = 0;

	*ret = NULL;
	c->path = xstrdup(path);
	c->fd = c->watch_fd = -1;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	mkdir(dirname(arena_strdup(&a, path)), 0700);
	c->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		rc = err_errno(e, errno, "cannot make the socket '%s'", path);
	else
		watch(c, lock); /* first, so that no end is missed */
	if (!rc)
		rc = control_take_over(c, e);
	arena_done(&a);
	if (rc < 0)
		control_close(c);
	else
		*ret = c;
	return rc < 0 ? rc : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool control_waits(const struct control *c)
{
	return c && c->fd < 0 && c->lock_fd >= 0;
}

int control_take_over(struct control *c, struct err *e)
{
	char bytes[1024];
	int why = 0;

	while (c->watch_fd >= 0 && read(c->watch_fd, bytes, sizeof(bytes)) > 0)
		;
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB))
		why = errno;
	if (why == EWOULDBLOCK || why == EINTR)
		return 0;
	if (!why)
		why = begin_listening(c);
	close_fd(&c->watch_fd);
	if (!why)
		return 1;
	close_fd(&c->lock_fd);
	return err_errno(e, why, "cannot make the socket '%s'", c->path);
}

void control_close(struct control *c)
{
	if (!c)
		return;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0)
			close(c->clients[i].fd);
	if (c->fd >= 0)
		unlink(c->path);
	close_fd(&c->fd);
	close_fd(&c->watch_fd);
	close_fd(&c->lock_fd);
	free(c->path);
	free(c);
}

/* ---- clients ------------------------------------------------------------ */

void control_fds(const struct control *c, struct pollfd fds[CONTROL_FDS])
{
	for (int i = 0; i < CONTROL_FDS; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (!c)
		return;
	fds[0].fd = c->fd >= 0 ? c->fd : c->watch_fd;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fds[1 + i].fd = c->clients[i].fd;
}

static void leave(struct client *k)
{
	close(k->fd);
	k->fd = -1;
	k->n = 0;
}

static void answer(struct client *k, bool ok, const char *text)
{
	struct str line = {0};

	str_printf(&line, "%d %s", ok ? 0 : 1, text);
	str_sanitize(line.s);
	str_add_char(&line, '\n');
	/* Shorter than a socket's buffer; who does not want it is gone. */
	if (send(k->fd, line.s, line.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0;
	str_done(&line);
	leave(k);
}

static void take_line(struct client *k, size_t n, control_run *run, void *ud)
{
	struct str said = {0};
	bool ok;

	k->line[n] = 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)k->line[i] < ' ' || k->line[i] == 127) {
			answer(k, false, "a command holds no control characters");
			return;
		}
	if (!is_utf8(k->line, n)) {
		answer(k, false, "a command is UTF-8");
		return;
	}
	ok = run(ud, k->line, &said);
	answer(k, ok, str_get(&said));
	str_done(&said);
}

static void read_client(struct client *k, control_run *run, void *ud)
{
	ssize_t n = recv(k->fd, k->line + k->n, CONTROL_LINE_MAX - k->n, MSG_DONTWAIT);
	const char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(k);
		return;
	}
	k->n += (size_t)n;
	end = memchr(k->line, '\n', k->n);
	if (end)
		take_line(k, (size_t)(end - k->line), run, ud);
	else if (k->n == CONTROL_LINE_MAX)
		answer(k, false, "the command is too long");
}

/* Where all say nothing, one of them makes room. */
static void take_client(struct control *c)
{
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), at = 0;

	if (fd < 0)
		return;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd < 0)
			at = i;
	if (c->clients[at].fd >= 0)
		leave(&c->clients[at]);
	c->clients[at].fd = fd;
}

void control_work(
	struct control *c, const struct pollfd fds[CONTROL_FDS], control_run *run, void *ud)
{
	if (!c || c->fd < 0)
		return;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0 && fds[1 + i].revents)
			read_client(&c->clients[i], run, ud);
	if (fds[0].revents)
		take_client(c);
}

/* ---- the other side ----------------------------------------------------- */

static int exchange(int fd, const char *line, struct str *answer)
{
	const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	struct str whole = {0};
	char bytes[1024];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	str_printf(&whole, "%s\n", line);
	n = send(fd, whole.s, whole.n, MSG_NOSIGNAL);
	str_done(&whole);
	if (n < 0)
		return errno;
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0 && answer->n < 1 << 20)
		str_add_n(answer, bytes, (size_t)n);
	return n < 0 && !answer->n ? errno : 0;
}

int control_send(
	const char *path, const char *line, bool *ret_ok, struct str *answer, struct err *e)
{
	struct str whole = {0};
	int fd, why = socket_at(path, connect, &fd);

	if (why)
		return err_set(
			e, ERR_IO, "no workstation has this library open; start one with woodshed");
	why = exchange(fd, line, &whole);
	close(fd);
	*ret_ok = whole.n > 1 && whole.s[0] == '0';
	if (whole.n > 2) {
		whole.s[strcspn(whole.s, "\n")] = 0;
		str_add(answer, whole.s + 2);
	}
	if (!why && whole.n < 2)
		why = ECONNRESET;
	str_done(&whole);
	return why ? err_errno(e, why, "the workstation gave no answer") : 0;
}
