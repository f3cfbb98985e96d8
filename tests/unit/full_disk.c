/* A full disk, for real: a file system of 64 KB in memory.  Exits 77 where
 * this user may not mount one, not even in a name space of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* A user who is not root is root in a user name space of their own. */
static int become_root(void)
{
	char users[32], groups[32];

	snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
	snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || put("/proc/self/setgroups", "deny"))
		return -1;
	return put("/proc/self/uid_map", users) || put("/proc/self/gid_map", groups) ? -1 : 0;
}

static int mount_small(const char *dir)
{
	if (unshare(CLONE_NEWNS) && become_root())
		return -1;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	return mount("woodshed-test", dir, "tmpfs", 0, "size=64k,mode=0755");
}

/* Writes until the disk is full or n_frames are written. */
static int write_frames(const char *path, size_t n_frames, struct err *e)
{
	const struct audio_writer_desc d = {.path = path, .channels = 1, .rate_hz = 32000};
	const float x[100] = {0};
	struct audio_writer *w;
	int rc = audio_writer_open(&d, &w, e);

	for (size_t i = 0; !rc && i < n_frames; i += 100)
		rc = audio_writer_add(w, x, 100, e);
	if (!rc)
		rc = audio_writer_commit(w, e);
	audio_writer_close(w);
	return rc;
}

static int check(const char *dir)
{
	char path[4096];
	struct err e = {0};

	snprintf(path, sizeof path, "%s/a.wav", dir);
	if (write_frames(path, 100000, &e) != ERR_IO ||
		!strstr(e.text, "No space left on device; free some space there")) {
		printf("a full disk gave %d, \"%s\"\n", e.code, e.text);
		return 1;
	}
	if (scratch_count(dir)) {
		puts("something was left behind");
		return 1;
	}
	err_clear(&e);
	if (write_frames(path, 10000, &e)) {
		printf("what fits was refused: %s\n", e.text);
		return 1;
	}
	return scratch_count(dir) != 1;
}

int main(void)
{
	void *dir;
	int rc = 77;

	if (scratch_open(&dir))
		return 1;
	if (mount_small(dir)) {
		printf("skipped: cannot mount a tmpfs here: %s\n", strerror(errno));
	} else {
		rc = check(dir);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	free(dir);
	return rc;
}
