/* The writer of WAV files, and of FLAC files with audio_flac.c.
 *
 *	RIFF size WAVE		RF64 -1 above 4 GB
 *	JUNK 28			room for ds64, which RF64 needs
 *	fmt , fact (float)
 *	LIST INFO ISFT ICMT ICOP	program, short form of the recipe, copyright
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

#include "library/audio_flac.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/rename.h"
#include "library/base/str.h"
#include "library/names.h"

enum {
	BUFFER = 64 * 1024,
	WRITERS_MAX = 64,
	NAME_SIZE = 256, /* NAME_MAX and the NUL */
	NAME_KEEP = 200, /* of the target's name in the temporary one */
	NUMBERS_MAX = 9999,
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
	const char *name;           /* last part of the path; borrowed from d.path */
	struct flac *flac;          /* of a FLAC file */
	struct slot *slot;          /* NULL until the temporary file exists */
	int dir_fd;
	int fd;
	bool failed;
	uint64_t n_frames;
	uint64_t n_clipped; /* samples */
	size_t header_size;
	uint64_t n_bytes; /* of the finished file */
	size_t n_buffer;
	union {
		unsigned char buffer[BUFFER];
		int32_t integers[BUFFER / sizeof(int32_t)]; /* for FLAC; whole frames */
	};
};

int audio_bits(enum audio_format format)
{
	switch (format) {
	case AUDIO_PCM24:
	case AUDIO_FLAC24:
		return 24;
	case AUDIO_PCM16:
	case AUDIO_FLAC16:
		return 16;
	case AUDIO_FLOAT:
		break;
	}
	return 0;
}

static bool is_flac(enum audio_format format)
{
	return format == AUDIO_FLAC24 || format == AUDIO_FLAC16;
}

/* In a WAV file. */
static int sample_size(enum audio_format format)
{
	return format == AUDIO_FLOAT ? 4 : audio_bits(format) / 8;
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
	case EEXIST:
		return "choose another name, or remove some of the files there";
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

static bool is_short_text(const char *s)
{
	return !s || (strlen(s) <= AUDIO_COMMENT_MAX && is_utf8(s, strlen(s)));
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
	if (!is_short_text(d->comment) || !is_short_text(d->copyright))
		return err_set(e, ERR_ARG,
			"the comment for '%s' is no UTF-8 text of at most %d bytes; shorten it",
			d->path, AUDIO_COMMENT_MAX);
	if (is_flac(d->format) &&
		(d->channels > AUDIO_FLAC_CHANNELS_MAX || d->rate_hz > AUDIO_FLAC_RATE_MAX))
		return err_set(e, ERR_UNSUPPORTED,
			"cannot write '%s': FLAC takes %d channels and %d Hz at most; write WAV",
			d->path, AUDIO_FLAC_CHANNELS_MAX, AUDIO_FLAC_RATE_MAX);
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

	w->name = slash ? slash + 1 : w->d.path;
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

/* As create_temporary() names them.  Others have hidden ".tmp" files, too: programs that keep
 * folders alike on several machines, for one. */
static bool is_temporary(const char *name)
{
	static const char like[] = ".0123456789abcdef.tmp";
	const size_t n = strlen(name), tail = sizeof like - 1;

	return *name == '.' && n > tail && name[n - tail] == '.' &&
	       strspn(name + n - tail + 1, "0123456789abcdef") == 16 && has_suffix(name, ".tmp");
}

int audio_remove_abandoned(int dir_fd, const char *name)
{
	int fd, removed = 0;

	if (!is_temporary(name) || flock(dir_fd, LOCK_EX))
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

static void add_info(struct str *b, const struct audio_writer_desc *d)
{
	struct str info = {0};

	str_add(&info, "INFO");
	add_chunk(&info, "ISFT", "woodshed", 9);
	if (d->comment)
		add_chunk(&info, "ICMT", d->comment, strlen(d->comment) + 1);
	if (d->copyright)
		add_chunk(&info, "ICOP", d->copyright, strlen(d->copyright) + 1);
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
	add_info(b, d);
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

/* n_buffer counts bytes, and integers of a FLAC file. */
static int flush(struct audio_writer *w, struct err *e)
{
	size_t n = w->n_buffer;
	int errno_value;

	w->n_buffer = 0;
	if (!w->flac)
		return write_all(w, w->buffer, n, e);
	errno_value = n ? flac_add(w->flac, w->integers, n / (size_t)w->d.channels) : 0;
	return errno_value ? fail(e, w->d.path, errno_value) : 0;
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

static int begin_file(struct audio_writer *w, struct err *e)
{
	int errno_value;

	if (!is_flac(w->d.format))
		return write_header(w, e);
	errno_value = flac_open(&w->d, w->fd, &w->flac);
	return errno_value ? fail(e, w->d.path, errno_value) : 0;
}

int audio_writer_open(const struct audio_writer_desc *d, struct audio_writer **ret, struct err *e)
{
	struct audio_writer *w;
	int mode = -1, rc;
	char *path;

	*ret = NULL;
	rc = check_desc(d, e);
	if (!rc && !d->numbered)
		rc = check_target(d, d->path, &mode, e);
	if (rc)
		return rc;
	path = d->numbered ? xstrdup(d->path) : resolve(d->path);
	if (!path)
		return err_set(e, ERR_IO,
			"cannot write '%s': it is a link to a file that does not exist; remove it",
			d->path);
	w = xcalloc(1, sizeof *w);
	w->d = *d;
	w->d.path = path;
	w->d.recipe = d->recipe ? xstrdup(d->recipe) : NULL;
	w->d.comment = d->comment ? xstrdup(d->comment) : NULL;
	w->d.copyright = d->copyright ? xstrdup(d->copyright) : NULL;
	w->fd = w->dir_fd = -1;
	rc = open_folder(w, e);
	if (!rc)
		rc = create_temporary(w, d->is_private ? 0600 : mode, e);
	if (!rc)
		rc = begin_file(w, e);
	if (rc) {
		audio_writer_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

int32_t audio_round(float x, int bits)
{
	double top = (double)(INT64_C(1) << (bits - 1)), v = (double)x * top;

	return (int32_t)lrint(v < -top ? -top : v > top - 1 ? top - 1 : v);
}

static void put_integer(struct audio_writer *w, float x)
{
	const int bits = audio_bits(w->d.format);
	const int32_t integer = audio_round(x, bits);
	const uint32_t word = htole32((uint32_t)integer);

	w->n_clipped += fabs((double)x * (1 << (bits - 1)) - integer) > 0.5;
	if (w->flac) {
		w->integers[w->n_buffer++] = integer;
		return;
	}
	memcpy(w->buffer + w->n_buffer, &word, (size_t)sample_size(w->d.format));
	w->n_buffer += (size_t)sample_size(w->d.format);
}

/* Whether a sample at the start of a frame, or any in a WAV file, may not fit. */
static bool is_full(const struct audio_writer *w, bool starts_frame)
{
	if (w->flac)
		return starts_frame &&
		       w->n_buffer + (size_t)w->d.channels > BUFFER / sizeof(int32_t);
	return w->n_buffer + sizeof(float) > BUFFER;
}

static int check_finite(const struct audio_writer *w, const float *samples, size_t n, struct err *e)
{
	size_t n_channels = (size_t)w->d.channels;

	for (size_t i = 0; i < n; i++)
		if (!isfinite(samples[i]))
			return err_set(e, ERR_FORMAT,
				"cannot write '%s': sample %zu of frame %llu is not a number; "
				"the audio is broken, check the model's weights",
				w->d.path, i % n_channels,
				(unsigned long long)(w->n_frames + i / n_channels));
	return 0;
}

static int add_floats(struct audio_writer *w, const float *samples, size_t n, struct err *e)
{
	int rc = 0;

	while (!rc && n) {
		size_t room = (BUFFER - w->n_buffer) / sizeof(float), part = n < room ? n : room;
		unsigned char *to = w->buffer + w->n_buffer;

		for (size_t i = 0; i < part; i++) {
			uint32_t word;

			memcpy(&word, samples + i, sizeof word);
			word = htole32(word);
			memcpy(to + i * sizeof word, &word, sizeof word);
		}
		w->n_buffer += part * sizeof(float);
		samples += part;
		n -= part;
		if (n)
			rc = flush(w, e);
	}
	return rc;
}

static int add_integers(struct audio_writer *w, const float *samples, size_t n, struct err *e)
{
	size_t n_channels = (size_t)w->d.channels;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		if (is_full(w, i % n_channels == 0))
			rc = flush(w, e);
		if (!rc)
			put_integer(w, samples[i]);
	}
	return rc;
}

int audio_writer_add(struct audio_writer *w, const float *samples, size_t n_frames, struct err *e)
{
	size_t n = n_frames * (size_t)w->d.channels;
	int rc;

	if (w->failed)
		return err_set(e, ERR_IO, "cannot write '%s' after an earlier failure", w->d.path);
	rc = check_finite(w, samples, n, e);
	if (!rc)
		rc = audio_bits(w->d.format) ? add_integers(w, samples, n, e)
					     : add_floats(w, samples, n, e);
	w->failed = rc;
	if (!rc)
		w->n_frames += n_frames;
	return rc;
}

/* The first free one of "NAME.wav", "NAME (2).wav", ...  The path follows. */
static int give_number(struct audio_writer *w)
{
	const char *slash = strrchr(w->d.path, '/');
	struct str path = {0};
	char name[NAMES_SIZE];

	for (unsigned k = 1; k <= NUMBERS_MAX; k++) {
		names_numbered(w->name, k, name);
		if (rename_new(w->dir_fd, w->slot->name, name)) {
			if (errno != EEXIST)
				return -1;
			continue;
		}
		if (slash)
			str_add_n(&path, w->d.path, (size_t)(slash + 1 - w->d.path));
		str_add(&path, name);
		free((char *)w->d.path);
		w->d.path = w->name = path.s;
		return 0;
	}
	return -1;
}

/* The last step. */
static int give_name(struct audio_writer *w)
{
	if (w->d.numbered)
		return give_number(w);
	if (w->d.keep_existing)
		return rename_new(w->dir_fd, w->slot->name, w->name);
	return renameat(w->dir_fd, w->slot->name, w->dir_fd, w->name);
}

/* What the head of the file could not tell before all samples were there. */
static int finish_file(struct audio_writer *w, struct err *e)
{
	uint64_t data = w->n_frames * (uint64_t)w->d.channels * (uint64_t)sample_size(w->d.format);
	struct stat st;
	int rc = flush(w, e), errno_value = 0;

	if (!rc && w->flac)
		errno_value = flac_finish(w->flac);
	if (!rc && !w->flac && data % 2)
		rc = write_all(w, "", 1, e);
	if (!rc && !w->flac)
		rc = write_header(w, e);
	if (rc)
		return rc;
	if (!errno_value && (fsync(w->fd) || fstat(w->fd, &st)))
		errno_value = errno;
	if (errno_value)
		return fail(e, w->d.path, errno_value);
	w->n_bytes = (uint64_t)st.st_size;
	return 0;
}

int audio_writer_commit(struct audio_writer *w, struct err *e)
{
	int fd = w->fd;
	int rc;

	if (w->failed || !w->slot)
		return err_set(e, ERR_IO, "cannot write '%s' after an earlier failure", w->d.path);
	w->failed = true; /* until all is well */
	rc = finish_file(w, e);
	if (rc)
		return rc;
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

const char *audio_writer_path(const struct audio_writer *w, uint64_t *ret_bytes)
{
	*ret_bytes = w->n_bytes;
	return w->d.path;
}

uint64_t audio_writer_clipped(const struct audio_writer *w)
{
	return w->n_clipped;
}

void audio_writer_close(struct audio_writer *w)
{
	if (!w)
		return;
	if (w->slot) {
		unlinkat(w->dir_fd, w->slot->name, 0);
		atomic_store(&w->slot->state, SLOT_FREE);
	}
	flac_close(w->flac);
	if (w->fd >= 0)
		close(w->fd);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	free((char *)w->d.path);
	free((char *)w->d.recipe);
	free((char *)w->d.comment);
	free((char *)w->d.copyright);
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
