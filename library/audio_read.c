/* The audio reader: libsndfile for the samples, soxr for another rate. */
#include "library/audio.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <soxr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

enum {
	BLOCK_FRAMES = 1 << 16,
	RESAMPLE_FRAMES = 1 << 14,
	LOG_BYTES = 4096, /* libsndfile keeps 2 KB */
	MP3_LOOK_BYTES = 4096,
	MP3_FRAME = 1152,
};

/* What a writer into a pipe, which cannot know the length, puts there: this or more. */
static const unsigned long long UNKNOWN_BYTES = 0x7ffff000;
static const unsigned long long UNKNOWN_FRAMES = SF_COUNT_MAX / 4096; /* the same in 64 bits */

/* A pipe or a device could block, or never end. */
static int open_regular(const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_errno(
			e, errno, "cannot read '%s' (check the name and permissions)", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, ERR_IO,
			"cannot read '%s': it is no regular file; give an audio file", path);
	}
	return fd;
}

static int type_of(const SF_INFO *info)
{
	return info->format & SF_FORMAT_TYPEMASK;
}

static int check_info(const SF_INFO *info, const struct audio_read_desc *d, struct err *e)
{
	const char *path = d->path;

	if (info->channels < 1 || info->channels > AUDIO_CHANNELS_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot read '%s': it has %d channels, 1 to %d work", path, info->channels,
			AUDIO_CHANNELS_MAX);
	if (info->samplerate < AUDIO_RATE_MIN || info->samplerate > AUDIO_RATE_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot read '%s': its sample rate is %d Hz, %d to %d work", path,
			info->samplerate, AUDIO_RATE_MIN, AUDIO_RATE_MAX);
	if (info->frames <= 0)
		return err_set(e, ERR_FORMAT,
			"cannot read '%s': it holds no audio; choose another file", path);
	if ((unsigned long long)info->frames >= UNKNOWN_FRAMES)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot read '%s': %s; write it anew with another program", path,
			type_of(info) == SF_FORMAT_OGG
				? "it ends early, so it does not tell how long it is"
				: "its header does not tell how long it is");
	if (d->max_s > 0 && (double)info->frames > d->max_s * info->samplerate)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot read '%s': it is %.1f seconds long, at most %.1f work; cut it "
			"first",
			path, (double)info->frames / info->samplerate, d->max_s);
	if (d->channels && d->channels != info->channels && d->channels != 1 && info->channels != 1)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot turn the %d channels of '%s' into %d; mix it down first",
			info->channels, path, d->channels);
	return 0;
}

static int bits_of(int format)
{
	switch (format & SF_FORMAT_SUBMASK) {
	case SF_FORMAT_PCM_S8:
	case SF_FORMAT_PCM_U8:
		return 8;
	case SF_FORMAT_PCM_16:
		return 16;
	case SF_FORMAT_PCM_24:
		return 24;
	case SF_FORMAT_PCM_32:
		return 32;
	default:
		return 0;
	}
}

/* ---- files that end early ------------------------------------------------ */

/* A size that libsndfile put right: " data : 288000 (should be 191985)".  Its log is the
 * only place that tells. */
static bool is_corrected(const char *line, unsigned long long *claimed, unsigned long long *there)
{
	char name[16];

	return sscanf(line, " %15[A-Za-z ]: %llu (should be %llu)", name, claimed, there) == 3 &&
	       (has_prefix(name, "data ") || has_prefix(name, "SSND ") ||
		       has_prefix(name, "Data Size "));
}

/* Bytes of a frame; 0: frames have none of their own. */
static unsigned long long frame_bytes(const SF_INFO *info)
{
	const int subtype = info->format & SF_FORMAT_SUBMASK;
	const int bits = subtype == SF_FORMAT_FLOAT    ? 32
			 : subtype == SF_FORMAT_DOUBLE ? 64
						       : bits_of(info->format);

	return (unsigned long long)(bits / 8 * info->channels);
}

/* Frames that headers of 64 bits promise, whose sizes libsndfile leaves as they are: those of
 * RF64 stand in its ds64, a chunk of W64 counts the 24 bytes of its own head.  0: the line
 * does not tell. */
static unsigned long long promised_in_64(const char *line, const SF_INFO *info)
{
	const unsigned long long one = frame_bytes(info);
	unsigned long long n = 0;

	if (one && type_of(info) == SF_FORMAT_RF64 && sscanf(line, " Data size : %llu", &n) == 1)
		return n / one;
	if (one && type_of(info) == SF_FORMAT_W64 && sscanf(line, "data : %llu", &n) == 1 && n > 24)
		return (n - 24) / one;
	return 0;
}

/* Frames that the header promises beyond those of `info`. */
static size_t missing_of(SNDFILE *f, const SF_INFO *info)
{
	const unsigned long long has = (unsigned long long)info->frames;
	unsigned long long claimed, there;
	char log[LOG_BYTES] = "";

	sf_command(f, SFC_GET_LOG_INFO, log, sizeof(log));
	for (const char *s = log; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		if (is_corrected(s, &claimed, &there) && there && claimed > there &&
			claimed < UNKNOWN_BYTES)
			return (size_t)((double)(claimed - there) * (double)info->frames /
					(double)there);
		claimed = promised_in_64(s, info);
		if (claimed > has && claimed < UNKNOWN_FRAMES)
			return (size_t)(claimed - has);
	}
	return 0;
}

/* Where the tag of the first frame can begin: behind its head, its checksum and what Layer
 * III tells of the channels. */
static const size_t tag_at[] = {4 + 9, 4 + 17, 4 + 32, 6 + 9, 6 + 17, 6 + 32};

/* Whether an MP3 file says how many frames it has, which its encoder writes in place of
 * the first one's sound ("Xing", "Info"); else libsndfile guesses by the size of the file. */
static bool has_count(int fd)
{
	unsigned char b[MP3_LOOK_BYTES + 64] = {0};
	ssize_t n = pread(fd, b, 10, 0);
	off_t at = 0;

	if (n == 10 && !memcmp(b, "ID3", 3)) /* four times 7 bits, a head, maybe a foot */
		at = 10 + (b[5] & 0x10 ? 10 : 0) +
		     ((off_t)(b[6] & 127) << 21 | (b[7] & 127) << 14 | (b[8] & 127) << 7 |
			     (b[9] & 127));
	n = pread(fd, b, MP3_LOOK_BYTES, at);
	for (ssize_t i = 0; i < n; i++) {
		if (b[i] != 0xff || (b[i + 1] & 0xe0) != 0xe0)
			continue;
		for (size_t k = 0; k < sizeof tag_at / sizeof *tag_at; k++) {
			const unsigned char *tag = b + i + tag_at[k];

			if (!memcmp(tag, "Xing", 4) || !memcmp(tag, "Info", 4))
				return tag[7] & 1;
		}
		return false;
	}
	return false;
}

/* How many of the frames that the header tells need not be there for the file to be whole;
 * -1: as many as there are. */
static sf_count_t slack_of(const SF_INFO *info, int fd)
{
	if (frame_bytes(info)) /* they were counted, but a file may be cut while it is read */
		return 0;
	/* The last page of an Ogg file counts them; pages that are damaged are passed over. */
	if (type_of(info) == SF_FORMAT_OGG)
		return 0;
	/* What a decoder leaves out at both ends differs. */
	return type_of(info) == SF_FORMAT_MPEG && has_count(fd) ? 2 * MP3_FRAME : -1;
}

static const char *shortfall(
	size_t there, size_t missing, int rate_hz, char out[AUDIO_SHORTFALL_MAX])
{
	const double s = (double)missing / rate_hz, has_s = (double)there / rate_hz;
	char has[16], whole[16];

	out[0] = 0;
	if (missing)
		snprintf(out, AUDIO_SHORTFALL_MAX,
			s < 9.5 ? "the file lacks %.2g s: %s of %s are there"
				: "the file lacks %.0f s: %s of %s are there",
			s, format_duration(has_s + 0.5, has),
			format_duration(has_s + s + 0.5, whole));
	return out;
}

const char *audio_shortfall(const struct audio *a, char out[AUDIO_SHORTFALL_MAX])
{
	return shortfall(a->n_frames, a->n_missing, a->rate_hz, out);
}

/* ---- whole files --------------------------------------------------------- */

/* The header's length is a claim: memory for it is not touched before there
 * are samples to fill it, and what the file does not hold is not counted. */
static int read_samples(
	SNDFILE *f, int fd, const SF_INFO *info, const char *path, struct audio *a, struct err *e)
{
	const sf_count_t slack = slack_of(info, fd);
	sf_count_t done = 0, k;
	void *mem;
	int rc;

	rc = mem_try_alloc(&mem, (size_t)info->frames, sizeof(float) * (size_t)info->channels,
		"audio file", e);
	if (rc)
		return err_wrap(e, rc, "cannot read '%s'", path);
	a->samples = mem;
	a->channels = info->channels;
	a->rate_hz = info->samplerate;
	a->bits = bits_of(info->format);
	while (done < info->frames) {
		k = info->frames - done < BLOCK_FRAMES ? info->frames - done : BLOCK_FRAMES;
		k = sf_readf_float(f, a->samples + done * info->channels, k);
		if (k <= 0)
			break;
		done += k;
	}
	a->n_frames = (size_t)done;
	a->n_missing = missing_of(f, info);
	if (slack >= 0 && info->frames - done > slack)
		a->n_missing += (size_t)(info->frames - done);
	if (sf_error(f))
		return err_set(e, ERR_FORMAT, "cannot read '%s': it is damaged (%s)", path,
			sf_strerror(f));
	if (!done)
		return err_set(e, ERR_FORMAT,
			"cannot read '%s': it holds no audio; choose another file", path);
	return 0;
}

/* begin_s: where in the file the first sample is. */
static int check_finite(
	const struct audio *a, double begin_s, int rate_hz, const char *path, struct err *e)
{
	size_t n = a->n_frames * (size_t)a->channels;

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(a->samples[i]))
			return err_set(e, ERR_FORMAT,
				"cannot read '%s': a sample at %.3f seconds is not a number; "
				"the file is damaged",
				path, begin_s + (double)(i / (size_t)a->channels) / rate_hz);
	}
	return 0;
}

/* In place: frame i is written where frames up to i were read. */
static void mix_to_mono(struct audio *a)
{
	for (size_t i = 0; i < a->n_frames; i++) {
		float sum = 0;
		for (int c = 0; c < a->channels; c++)
			sum += a->samples[i * (size_t)a->channels + (size_t)c];
		a->samples[i] = sum / (float)a->channels;
	}
	a->channels = 1;
}

static int copy_to_channels(struct audio *a, int channels, struct err *e)
{
	size_t n = (size_t)channels;
	float *out;
	void *mem;
	int rc = mem_try_alloc(&mem, a->n_frames, sizeof(float) * n, "audio in more channels", e);

	if (rc)
		return rc;
	out = mem;
	for (size_t i = 0; i < a->n_frames * n; i++)
		out[i] = a->samples[i / n];
	free(a->samples);
	a->samples = out;
	a->channels = channels;
	return 0;
}

/* In pieces, whose sizes do not change a bit: soxr copies what it is given and grows by it.
 * It may end a frame early; that frame stays zero. */
static soxr_error_t resample_into(float *out, size_t n, const struct audio *a, int rate_hz)
{
	const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
	const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
	const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
	const size_t channels = (size_t)a->channels;
	size_t at = 0, done = 0, piece = 1, made = 1;
	soxr_error_t failure;
	soxr_t s = soxr_create(
		a->rate_hz, rate_hz, (unsigned)channels, &failure, &io, &quality, &runtime);

	while (!failure && done < n && (piece || made)) {
		const size_t left = a->n_frames - at;
		size_t used = 0;

		piece = left < RESAMPLE_FRAMES ? left : RESAMPLE_FRAMES;
		failure = soxr_process(s, piece ? a->samples + at * channels : NULL, piece, &used,
			out + done * channels, n - done, &made);
		at += used;
		done += made;
	}
	soxr_delete(s);
	return failure;
}

static int resample(struct audio *a, int rate_hz, struct err *e)
{
	double exact = (double)a->n_frames * rate_hz / a->rate_hz;
	size_t n = exact < 1 ? 1 : (size_t)(exact + 0.5);
	soxr_error_t failure;
	void *mem;
	int rc;

	rc = mem_try_alloc(
		&mem, n, sizeof(float) * (size_t)a->channels, "audio at another sample rate", e);
	if (rc)
		return rc;
	failure = resample_into(mem, n, a, rate_hz);
	free(a->samples);
	a->samples = mem;
	a->n_frames = n;
	a->n_missing = (size_t)((double)a->n_missing * rate_hz / a->rate_hz);
	if (failure)
		return err_set(e, ERR_NOMEM,
			"cannot resample from %d to %d Hz: %s; free some memory", a->rate_hz,
			rate_hz, soxr_strerror(failure));
	a->rate_hz = rate_hz;
	return 0;
}

static int convert(struct audio *a, const struct audio_read_desc *d, struct err *e)
{
	int rc = 0;

	if (d->channels == 1 && a->channels > 1)
		mix_to_mono(a);
	if (d->rate_hz && d->rate_hz != a->rate_hz)
		rc = resample(a, d->rate_hz, e);
	if (!rc && d->channels && d->channels != a->channels)
		rc = copy_to_channels(a, d->channels, e);
	return rc ? err_wrap(e, rc, "cannot read '%s'", d->path) : 0;
}

int audio_resample(struct audio *a, int rate_hz, struct err *e)
{
	int rc = 0;

	if (rate_hz < AUDIO_RATE_MIN || rate_hz > AUDIO_RATE_MAX)
		rc = err_set(e, ERR_ARG, "cannot resample to %d Hz; %d to %d work", rate_hz,
			AUDIO_RATE_MIN, AUDIO_RATE_MAX);
	else if (rate_hz != a->rate_hz)
		rc = resample(a, rate_hz, e);
	if (rc)
		audio_done(a);
	return rc;
}

/* *ret_fd is the file's, and closed after it. */
static int open_audio(
	const char *path, SNDFILE **ret, SF_INFO *ret_info, int *ret_fd, struct err *e)
{
	*ret_fd = open_regular(path, e);
	if (*ret_fd < 0)
		return *ret_fd;
	*ret = sf_open_fd(*ret_fd, SFM_READ, ret_info, SF_FALSE);
	if (*ret)
		return 0;
	close(*ret_fd);
	return err_set(e, ERR_FORMAT,
		"cannot read '%s': no audio file of a known kind (%s); convert it to WAV", path,
		sf_strerror(NULL));
}

/* What a header tells; no samples. */
static struct audio info_of(SNDFILE *f, const SF_INFO *info)
{
	return (struct audio){.n_frames = (size_t)info->frames,
		.channels = info->channels,
		.rate_hz = info->samplerate,
		.bits = bits_of(info->format),
		.n_missing = missing_of(f, info)};
}

struct audio_reader {
	struct audio info;
	char *path; /* owned */
	SNDFILE *file;
	int fd;
	size_t at;       /* frame */
	size_t promised; /* frames; 0: nobody knows */
	size_t slack;    /* frames, slack_of() */
	bool is_flac;
};

int audio_reader_open(const char *path, struct audio_reader **ret, struct err *e)
{
	struct audio_reader *r;
	SF_INFO info = {0};
	SNDFILE *f;
	sf_count_t slack;
	int fd, rc = open_audio(path, &f, &info, &fd, e);

	if (rc)
		return rc;
	r = xcalloc(1, sizeof *r);
	*r = (struct audio_reader){
		.info = info_of(f, &info),
		.path = xstrdup(path),
		.file = f,
		.fd = fd,
	};
	slack = slack_of(&info, fd);
	r->is_flac = type_of(&info) == SF_FORMAT_FLAC;
	r->slack = slack > 0 ? (size_t)slack : 0;
	r->promised = slack >= 0 || r->info.n_missing ? r->info.n_frames + r->info.n_missing : 0;
	rc = check_info(&info, &(struct audio_read_desc){.path = path}, e);
	if (rc)
		audio_reader_close(r);
	else
		*ret = r;
	return rc;
}

void audio_reader_close(struct audio_reader *r)
{
	if (!r)
		return;
	sf_close(r->file);
	close(r->fd);
	free(r->path);
	free(r);
}

const struct audio *audio_reader_info(const struct audio_reader *r)
{
	return &r->info;
}

int audio_reader_read(
	struct audio_reader *r, float *samples, size_t n_frames, size_t *ret_n, struct err *e)
{
	const size_t left = r->at < r->info.n_frames ? r->info.n_frames - r->at : 0;
	const size_t wanted = n_frames < left ? n_frames : left, from = r->at;
	const sf_count_t n = sf_readf_float(r->file, samples, (sf_count_t)wanted);
	struct audio part = {.samples = samples, .channels = r->info.channels};

	*ret_n = 0;
	part.n_frames = n > 0 ? (size_t)n : 0;
	r->at += part.n_frames;
	if (r->promised && part.n_frames < wanted && r->promised - r->at > r->slack)
		r->info.n_missing = r->promised - r->at;
	/* A FLAC file that was cut ends with an error, if what is there was read. */
	if (sf_error(r->file) && !(r->is_flac && r->at && part.n_frames < wanted))
		return err_set(e, ERR_FORMAT, "cannot read '%s': it is damaged (%s)", r->path,
			sf_strerror(r->file));
	if (!r->at)
		return err_set(e, ERR_FORMAT,
			"cannot read '%s': it holds no audio; choose another file", r->path);
	*ret_n = part.n_frames;
	return check_finite(&part, (double)from / r->info.rate_hz, r->info.rate_hz, r->path, e);
}

const char *audio_reader_shortfall(const struct audio_reader *r, char out[AUDIO_SHORTFALL_MAX])
{
	return shortfall(r->promised - r->info.n_missing, r->info.n_missing, r->info.rate_hz, out);
}

/* Some formats have no way back, nor has a FLAC file behind what is damaged. */
static int reopen(struct audio_reader *r, struct err *e)
{
	SF_INFO info = {0};
	SNDFILE *f;
	int fd, rc = open_audio(r->path, &f, &info, &fd, e);

	if (rc)
		return rc;
	sf_close(r->file);
	close(r->fd);
	r->file = f;
	r->fd = fd;
	r->at = 0;
	return info.channels == r->info.channels
		       ? 0
		       : err_set(e, ERR_FORMAT, "cannot read '%s': it has changed", r->path);
}

static int skip_to(struct audio_reader *r, size_t frame, struct err *e)
{
	enum { PIECE = 1024 };
	float *skipped = xcalloc(PIECE * (size_t)r->info.channels, sizeof *skipped);
	size_t n = 1;
	int rc = reopen(r, e);

	while (!rc && n && r->at < frame)
		rc = audio_reader_read(
			r, skipped, frame - r->at < PIECE ? frame - r->at : PIECE, &n, e);
	free(skipped);
	if (!rc && r->at < frame)
		rc = err_set(e, ERR_FORMAT, "cannot read '%s' at frame %zu: it ends before",
			r->path, frame);
	return rc;
}

int audio_reader_seek(struct audio_reader *r, size_t frame, struct err *e)
{
	if (sf_seek(r->file, (sf_count_t)frame, SEEK_SET) < 0)
		return skip_to(r, frame, e);
	r->at = frame;
	return 0;
}

int audio_probe(const char *path, struct audio *ret, struct err *e)
{
	SF_INFO info = {0};
	SNDFILE *f;
	int fd, rc = open_audio(path, &f, &info, &fd, e);

	*ret = (struct audio){0};
	if (rc)
		return rc;
	rc = check_info(&info, &(struct audio_read_desc){.path = path}, e);
	if (!rc)
		*ret = info_of(f, &info);
	sf_close(f);
	close(fd);
	return rc;
}

int audio_read(const struct audio_read_desc *d, struct audio *ret, struct err *e)
{
	SF_INFO info = {0};
	SNDFILE *f;
	int rc, fd;

	*ret = (struct audio){0};
	if (d->rate_hz && (d->rate_hz < AUDIO_RATE_MIN || d->rate_hz > AUDIO_RATE_MAX))
		return err_set(e, ERR_ARG, "cannot resample to %d Hz; %d to %d work", d->rate_hz,
			AUDIO_RATE_MIN, AUDIO_RATE_MAX);
	if (d->channels < 0 || d->channels > AUDIO_CHANNELS_MAX)
		return err_set(e, ERR_ARG, "cannot mix to %d channels; 1 to %d work", d->channels,
			AUDIO_CHANNELS_MAX);
	rc = open_audio(d->path, &f, &info, &fd, e);
	if (rc)
		return rc;
	rc = check_info(&info, d, e);
	if (!rc)
		rc = read_samples(f, fd, &info, d->path, ret, e);
	sf_close(f);
	close(fd);
	if (!rc)
		rc = check_finite(ret, 0, ret->rate_hz, d->path, e);
	if (!rc)
		rc = convert(ret, d, e);
	if (!rc) /* sums of samples near the largest float overflow */
		rc = check_finite(ret, 0, ret->rate_hz, d->path, e);
	if (rc)
		audio_done(ret);
	return rc;
}

void audio_done(struct audio *a)
{
	free(a->samples);
	*a = (struct audio){0};
}
