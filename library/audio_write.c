/* The WAV writer.
 *
 *	RIFF size WAVE		RF64 -1 above 4 GB
 *	JUNK 28			room for ds64, which RF64 needs
 *	fmt , fact (float)
 *	LIST INFO ISFT ICMT	program, short form of the recipe
 *	wshd			the recipe
 *	data
 *
 * The header is built twice by the same function, with the sizes unknown and
 * known; both are equally long. */
#include "library/audio.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

enum {
	BUFFER = 64 * 1024,
	WRITERS_MAX = 64,
	NAME_SIZE = 256, /* NAME_MAX and the NUL */
	NAME_KEEP = 200, /* of the target's name in the temporary one */
};

/* What a signal handler may touch: never freed, so that it finds valid memory
 * whenever it comes. */
struct slot {
	_Atomic int state;
	int dir_fd;
	char name[NAME_SIZE];
};

enum { SLOT_FREE, SLOT_TAKEN, SLOT_LIVE };

static struct slot slots[WRITERS_MAX];

struct audio_writer {
	struct audio_writer_desc d; /* strings owned */
	char *name;                 /* last part of the path; borrowed from d.path */
	struct slot *slot;          /* NULL until the temporary file exists */
	int dir_fd;
	int fd;
	bool failed;
	uint64_t n_frames;
	size_t header_size;
	size_t n_buffer;
	unsigned char buffer[BUFFER];
};

static int sample_size(enum audio_format format)
{
	return format == AUDIO_FLOAT ? 4 : format == AUDIO_PCM24 ? 3 : 2;
}

static const char *remedy(int errno_value)
{
	switch (errno_value) {
	case ENOSPC:
		return "free some space there, or choose another folder";
	case EDQUOT:
		return "your quota there is used up: delete something, or choose another folder";
	case EFBIG:
		return "raise the limit on file sizes (ulimit -f), or ask for less";
	case ENOENT:
		return "make the folder first";
	case ENAMETOOLONG:
		return "choose a shorter name";
	case EMFILE:
	case ENFILE:
		return "close other files or programs first";
	case EIO:
		return "the disk may be failing, or was taken out";
	default:
		return "choose a folder that you may write to";
	}
}

static int fail(struct err *e, const char *path, int errno_value)
{
	char reason[128];

	return err_set(e, errno_value == ENOMEM ? ERR_NOMEM : ERR_IO, "cannot write '%s': %s; %s",
		path, strerror_r(errno_value, reason, sizeof reason), remedy(errno_value));
}

static int check_desc(const struct audio_writer_desc *d, struct err *e)
{
	if (!d->path || !*d->path)
		return err_set(e, ERR_ARG, "no file name to write to; give one");
	if (d->channels < 1 || d->channels > AUDIO_CHANNELS_MAX)
		return err_set(e, ERR_ARG, "cannot write '%s' with %d channels; 1 to %d work",
			d->path, d->channels, AUDIO_CHANNELS_MAX);
	if (d->rate_hz < 1 || d->rate_hz > AUDIO_RATE_MAX)
		return err_set(e, ERR_ARG, "cannot write '%s' at %d Hz; 1 to %d work", d->path,
			d->rate_hz, AUDIO_RATE_MAX);
	if (d->recipe &&
		(strlen(d->recipe) > AUDIO_RECIPE_MAX || !is_utf8(d->recipe, strlen(d->recipe))))
		return err_set(e, ERR_ARG,
			"the recipe for '%s' is no UTF-8 text of at most %d bytes; "
			"shorten the prompt",
			d->path, AUDIO_RECIPE_MAX);
	if (d->comment && (strlen(d->comment) > AUDIO_COMMENT_MAX ||
				  !is_utf8(d->comment, strlen(d->comment))))
		return err_set(e, ERR_ARG,
			"the comment for '%s' is no UTF-8 text of at most %d bytes; shorten it",
			d->path, AUDIO_COMMENT_MAX);
	return 0;
}

/* Refuses what a rename would destroy or fail on; *ret_mode gets the
 * permissions of a file that is there, -1 if none is. */
static int check_target(
	const struct audio_writer_desc *d, const char *path, int *ret_mode, struct err *e)
{
	struct stat st;

	*ret_mode = -1;
	if (stat(path, &st)) {
		if (errno != ENOENT || has_suffix(path, "/"))
			return fail(e, path, errno);
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return err_set(
			e, ERR_IO, "cannot write '%s': it is a folder; add a file name", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO,
			"cannot write '%s': it is a device or a pipe; give the name of a file",
			path);
	if (d->keep_existing)
		return err_set(
			e, ERR_IO, "cannot write '%s': it exists; choose another name", path);
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
		return fail(e, path, errno);
	*ret_mode = st.st_mode & 0777;
	return 0;
}

/* The path to rename to: a link is followed, so that it stays a link. */
static char *resolve(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISLNK(st.st_mode))
		return realpath(path, NULL);
	return xstrdup(path);
}

static int open_folder(struct audio_writer *w, struct err *e)
{
	char *slash = strrchr(w->d.path, '/');
	char *dir;

	w->name = slash ? slash + 1 : (char *)w->d.path;
	dir = slash ? xstrdup(w->d.path) : xstrdup(".");
	if (slash)
		dir[slash - w->d.path + (slash == w->d.path)] = '\0';
	w->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	return w->dir_fd < 0 ? fail(e, w->d.path, errno) : 0;
}

static struct slot *slot_take(void)
{
	for (size_t i = 0; i < WRITERS_MAX; i++) {
		int state = SLOT_FREE;
		if (atomic_compare_exchange_strong(&slots[i].state, &state, SLOT_TAKEN))
			return &slots[i];
	}
	return NULL;
}

/* A locked temporary file is being written; any other was left behind by a
 * program that died, and audio_remove_abandoned() may take it.  The folder's
 * lock keeps the two apart while the file is there and its lock is not yet. */
static int create_locked(int dir_fd, const char *name)
{
	int fd, saved;

	flock(dir_fd, LOCK_SH); /* where there are no locks, nobody removes anything */
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	saved = errno;
	if (fd >= 0)
		flock(fd, LOCK_EX | LOCK_NB);
	flock(dir_fd, LOCK_UN);
	errno = saved;
	return fd;
}

int audio_remove_abandoned(int dir_fd, const char *name)
{
	bool ours = name[0] == '.' && has_suffix(name, ".tmp");
	int fd, removed = 0;

	if (!ours || flock(dir_fd, LOCK_EX))
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		removed = !unlinkat(dir_fd, name, 0);
	if (fd >= 0)
		close(fd);
	flock(dir_fd, LOCK_UN);
	return removed;
}

/* Creates the temporary file under a name that nobody has.  The kernel
 * applies the umask; a file that will be replaced hands on its permissions. */
static int create_temporary(struct audio_writer *w, int mode, struct err *e)
{
	struct slot *s = slot_take();
	int tries = 0;

	if (!s)
		return err_set(e, ERR_BUSY, "cannot write '%s': %d files are being written already",
			w->d.path, WRITERS_MAX);
	s->dir_fd = w->dir_fd;
	do {
		uint64_t id = 0;
		if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
			id = (uint64_t)getpid() + (uint64_t)tries;
		snprintf(s->name, sizeof s->name, ".%.*s.%016llx.tmp", NAME_KEEP, w->name,
			(unsigned long long)id);
		/* a handler that comes before the file exists finds nothing: harmless */
		atomic_store(&s->state, SLOT_LIVE);
		w->fd = create_locked(w->dir_fd, s->name);
	} while (w->fd < 0 && errno == EEXIST && ++tries < 100);
	if (w->fd < 0 || (mode >= 0 && fchmod(w->fd, (mode_t)mode))) {
		int saved = errno;
		if (w->fd >= 0)
			unlinkat(w->dir_fd, s->name, 0);
		atomic_store(&s->state, SLOT_FREE);
		return fail(e, w->d.path, saved);
	}
	w->slot = s;
	return 0;
}

static void add_le(struct str *b, uint64_t v, int n_bytes)
{
	while (n_bytes--) {
		str_add_char(b, (char)(v & 0xff));
		v >>= 8;
	}
}

static void add_chunk(struct str *b, const char *id, const char *data, size_t n)
{
	str_add_n(b, id, 4);
	add_le(b, n, 4);
	str_add_n(b, data, n);
	if (n % 2)
		str_add_char(b, '\0');
}

static void add_fmt(struct str *b, const struct audio_writer_desc *d)
{
	bool is_float = d->format == AUDIO_FLOAT;
	uint64_t frame = (uint64_t)d->channels * (uint64_t)sample_size(d->format);

	str_add(b, "fmt ");
	add_le(b, is_float ? 18 : 16, 4);
	add_le(b, is_float ? 3 : 1, 2); /* IEEE float, PCM */
	add_le(b, (uint64_t)d->channels, 2);
	add_le(b, (uint64_t)d->rate_hz, 4);
	add_le(b, (uint64_t)d->rate_hz * frame, 4);
	add_le(b, frame, 2);
	add_le(b, (uint64_t)sample_size(d->format) * 8, 2);
	if (is_float)
		add_le(b, 0, 2); /* no extension */
}

static void add_info(struct str *b, const char *comment)
{
	struct str info = {0};

	str_add(&info, "INFO");
	add_chunk(&info, "ISFT", "woodshed", 9);
	if (comment)
		add_chunk(&info, "ICMT", comment, strlen(comment) + 1);
	add_chunk(b, "LIST", info.s, info.n);
	str_done(&info);
}

/* An odd recipe gets a newline, which JSON ignores, instead of RIFF's padding:
 * libsndfile loses its way in an RF64 file after an unknown chunk of odd size. */
static void add_recipe(struct str *b, const char *recipe)
{
	struct str text = {0};

	str_add(&text, recipe);
	if (text.n % 2)
		str_add_char(&text, '\n');
	add_chunk(b, "wshd", str_get(&text), text.n);
	str_done(&text);
}

/* header_size is that of the finished header; 0 while it is measured. */
static void build_header(
	const struct audio_writer_desc *d, uint64_t n_frames, size_t header_size, struct str *b)
{
	uint64_t data = n_frames * (uint64_t)d->channels * (uint64_t)sample_size(d->format);
	uint64_t riff = header_size - 8 + data + data % 2;
	bool rf64 = header_size && riff > (d->riff_max ? d->riff_max : UINT32_MAX);

	str_add(b, rf64 ? "RF64" : "RIFF");
	add_le(b, rf64 ? UINT32_MAX : riff, 4);
	str_add(b, "WAVE");
	str_add(b, rf64 ? "ds64" : "JUNK");
	add_le(b, 28, 4);
	add_le(b, rf64 ? riff : 0, 8);
	add_le(b, rf64 ? data : 0, 8);
	add_le(b, rf64 ? n_frames : 0, 8);
	add_le(b, 0, 4); /* no table */
	add_fmt(b, d);
	if (d->format == AUDIO_FLOAT) {
		str_add(b, "fact");
		add_le(b, 4, 4);
		add_le(b, rf64 ? UINT32_MAX : n_frames, 4);
	}
	add_info(b, d->comment);
	if (d->recipe)
		add_recipe(b, d->recipe);
	str_add(b, "data");
	add_le(b, rf64 ? UINT32_MAX : data, 4);
}

static int write_all(struct audio_writer *w, const void *data, size_t n, struct err *e)
{
	const char *p = data;

	while (n) {
		ssize_t k = write(w->fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return fail(e, w->d.path, k ? errno : ENOSPC);
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int flush(struct audio_writer *w, struct err *e)
{
	size_t n = w->n_buffer;

	w->n_buffer = 0;
	return write_all(w, w->buffer, n, e);
}

static int write_header(struct audio_writer *w, struct err *e)
{
	struct str b = {0};
	int rc;

	build_header(&w->d, w->n_frames, w->header_size, &b);
	w->header_size = b.n;
	rc = lseek(w->fd, 0, SEEK_SET) ? fail(e, w->d.path, errno) : write_all(w, b.s, b.n, e);
	str_done(&b);
	return rc;
}

int audio_writer_open(const struct audio_writer_desc *d, struct audio_writer **ret, struct err *e)
{
	struct audio_writer *w;
	char *path;
	int mode;
	int rc;

	*ret = NULL;
	rc = check_desc(d, e);
	if (rc)
		return rc;
	rc = check_target(d, d->path, &mode, e);
	if (rc)
		return rc;
	path = resolve(d->path);
	if (!path)
		return err_set(e, ERR_IO,
			"cannot write '%s': it is a link to a file that does not exist; remove it",
			d->path);
	w = xcalloc(1, sizeof *w);
	w->d = *d;
	w->d.path = path;
	w->d.recipe = d->recipe ? xstrdup(d->recipe) : NULL;
	w->d.comment = d->comment ? xstrdup(d->comment) : NULL;
	w->fd = w->dir_fd = -1;
	rc = open_folder(w, e);
	if (!rc)
		rc = create_temporary(w, mode, e);
	if (!rc)
		rc = write_header(w, e);
	if (rc) {
		audio_writer_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

static void put_sample(unsigned char *p, float x, enum audio_format format)
{
	double top = format == AUDIO_PCM24 ? 0x1p23 : 0x1p15;
	double v = (double)x * top;
	uint32_t bits;

	if (format == AUDIO_FLOAT) {
		memcpy(&bits, &x, 4);
	} else {
		v = v < -top ? -top : v > top - 1 ? top - 1 : v;
		bits = (uint32_t)lrint(v);
	}
	bits = htole32(bits);
	memcpy(p, &bits, (size_t)sample_size(format));
}

int audio_writer_add(struct audio_writer *w, const float *samples, size_t n_frames, struct err *e)
{
	size_t size = (size_t)sample_size(w->d.format);
	size_t n = n_frames * (size_t)w->d.channels;
	int rc;

	if (w->failed)
		return err_set(e, ERR_IO, "cannot write '%s' after an earlier failure", w->d.path);
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(samples[i])) {
			w->failed = true;
			return err_set(e, ERR_FORMAT,
				"cannot write '%s': sample %zu of frame %llu is not a number; "
				"the audio is broken, check the model's weights",
				w->d.path, i % (size_t)w->d.channels,
				(unsigned long long)(w->n_frames + i / (size_t)w->d.channels));
		}
		if (w->n_buffer + size > BUFFER) {
			rc = flush(w, e);
			w->failed = rc;
			if (rc)
				return rc;
		}
		put_sample(w->buffer + w->n_buffer, samples[i], w->d.format);
		w->n_buffer += size;
	}
	w->n_frames += n_frames;
	return 0;
}

/* The last step: the temporary name becomes the final one. */
static int give_name(struct audio_writer *w)
{
	const char *from = w->slot->name;

	if (!w->d.keep_existing)
		return renameat(w->dir_fd, from, w->dir_fd, w->name);
	if (!renameat2(w->dir_fd, from, w->dir_fd, w->name, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* not every file system knows that flag, but a hard link replaces nothing either */
	if (linkat(w->dir_fd, from, w->dir_fd, w->name, 0))
		return -1;
	return unlinkat(w->dir_fd, from, 0);
}

int audio_writer_commit(struct audio_writer *w, struct err *e)
{
	uint64_t data = w->n_frames * (uint64_t)w->d.channels * (uint64_t)sample_size(w->d.format);
	int fd = w->fd;
	int rc;

	if (w->failed || !w->slot)
		return err_set(e, ERR_IO, "cannot write '%s' after an earlier failure", w->d.path);
	w->failed = true; /* until all is well */
	rc = flush(w, e);
	if (!rc && data % 2)
		rc = write_all(w, "", 1, e);
	if (!rc)
		rc = write_header(w, e);
	if (rc)
		return rc;
	if (fsync(fd))
		return fail(e, w->d.path, errno);
	/* Synced, so that closing can tell no news; its lock is held until it has
	 * its name. */
	if (give_name(w))
		return fail(e, w->d.path, errno);
	w->fd = -1;
	close(fd);
	atomic_store(&w->slot->state, SLOT_FREE);
	w->slot = NULL;
	/* some file systems cannot sync folders; then the rename is as safe as it gets */
	if (fsync(w->dir_fd) && errno != EINVAL && errno != ENOTSUP)
		return fail(e, w->d.path, errno);
	return 0;
}

void audio_writer_close(struct audio_writer *w)
{
	if (!w)
		return;
	if (w->slot) {
		unlinkat(w->dir_fd, w->slot->name, 0);
		atomic_store(&w->slot->state, SLOT_FREE);
	}
	if (w->fd >= 0)
		close(w->fd);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	free((char *)w->d.path);
	free((char *)w->d.recipe);
	free((char *)w->d.comment);
	free(w);
}

void audio_writer_unlink_all(void)
{
	int saved = errno;

	for (size_t i = 0; i < WRITERS_MAX; i++) {
		if (atomic_load(&slots[i].state) == SLOT_LIVE)
			unlinkat(slots[i].dir_fd, slots[i].name, 0);
	}
	errno = saved;
}
