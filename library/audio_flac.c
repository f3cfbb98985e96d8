/* FLAC for the writer of audio files. */
#include "library/audio_flac.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <FLAC/metadata.h>
#include <FLAC/stream_encoder.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/str.h"

enum { LEVEL = 5 }; /* of compression: the reference encoder's default */

struct flac {
	FLAC__StreamEncoder *encoder;
	FLAC__StreamMetadata *comments; /* must live as long as the encoder */
	int fd;
	int failure; /* errno of the first write that failed */
};

static FLAC__StreamEncoderWriteStatus on_write(const FLAC__StreamEncoder *encoder,
	const FLAC__byte data[], size_t n, uint32_t n_samples, uint32_t frame, void *ud)
{
	struct flac *f = ud;

	while (n && !f->failure) {
		ssize_t k = write(f->fd, data, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			f->failure = k ? errno : ENOSPC;
			break;
		}
		data += k;
		n -= (size_t)k;
	}
	return f->failure ? FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR
			  : FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static FLAC__StreamEncoderSeekStatus on_seek(
	const FLAC__StreamEncoder *encoder, FLAC__uint64 at, void *ud)
{
	struct flac *f = ud;

	if (lseek(f->fd, (off_t)at, SEEK_SET) == (off_t)at)
		return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
	f->failure = f->failure ? f->failure : errno;
	return FLAC__STREAM_ENCODER_SEEK_STATUS_ERROR;
}

static FLAC__StreamEncoderTellStatus on_tell(
	const FLAC__StreamEncoder *encoder, FLAC__uint64 *ret, void *ud)
{
	struct flac *f = ud;
	off_t at = lseek(f->fd, 0, SEEK_CUR);

	if (at < 0)
		return FLAC__STREAM_ENCODER_TELL_STATUS_ERROR;
	*ret = (FLAC__uint64)at;
	return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
}

/* key with its '='; value NULL: no such comment. */
static int add_comment(struct flac *f, const char *key, const char *value)
{
	FLAC__StreamMetadata_VorbisComment_Entry entry;
	struct str text = {0};
	FLAC__bool ok;

	if (!value)
		return 0;
	str_add(&text, key);
	str_add(&text, value);
	entry.length = (FLAC__uint32)text.n;
	entry.entry = (FLAC__byte *)text.s;
	ok = FLAC__metadata_object_vorbiscomment_append_comment(f->comments, entry, true);
	str_done(&text);
	return ok ? 0 : ENOMEM;
}

static int add_comments(struct flac *f, const struct audio_writer_desc *d)
{
	int rc;

	f->comments = FLAC__metadata_object_new(FLAC__METADATA_TYPE_VORBIS_COMMENT);
	rc = f->comments ? add_comment(f, "SOFTWARE=", "woodshed") : ENOMEM;
	if (!rc)
		rc = add_comment(f, "COMMENT=", d->comment);
	if (!rc)
		rc = add_comment(f, "COPYRIGHT=", d->copyright);
	if (!rc)
		rc = add_comment(f, AUDIO_FLAC_RECIPE, d->recipe);
	return rc;
}

static int set_up(struct flac *f, const struct audio_writer_desc *d)
{
	FLAC__StreamEncoder *en = f->encoder = FLAC__stream_encoder_new();
	int rc = en ? add_comments(f, d) : ENOMEM;

	if (rc)
		return rc;
	FLAC__stream_encoder_set_channels(en, (uint32_t)d->channels);
	FLAC__stream_encoder_set_bits_per_sample(en, d->format == AUDIO_FLAC24 ? 24 : 16);
	FLAC__stream_encoder_set_sample_rate(en, (uint32_t)d->rate_hz);
	/* the subset for streaming leaves out rates that a file may have */
	FLAC__stream_encoder_set_streamable_subset(en, false);
	FLAC__stream_encoder_set_compression_level(en, LEVEL);
	FLAC__stream_encoder_set_metadata(en, &f->comments, 1);
	if (FLAC__stream_encoder_init_stream(en, on_write, on_seek, on_tell, NULL, f) !=
		FLAC__STREAM_ENCODER_INIT_STATUS_OK)
		return f->failure ? f->failure : EINVAL;
	return 0;
}

int flac_open(const struct audio_writer_desc *d, int fd, struct flac **ret)
{
	struct flac *f = xcalloc(1, sizeof *f);
	int rc;

	f->fd = fd;
	rc = set_up(f, d);
	if (rc) {
		flac_close(f);
		return rc;
	}
	*ret = f;
	return 0;
}

int flac_add(struct flac *f, const int32_t *samples, size_t n_frames)
{
	if (FLAC__stream_encoder_process_interleaved(f->encoder, samples, (uint32_t)n_frames))
		return 0;
	return f->failure ? f->failure : ENOMEM;
}

int flac_finish(struct flac *f)
{
	if (FLAC__stream_encoder_finish(f->encoder))
		return 0;
	return f->failure ? f->failure : EIO;
}

void flac_close(struct flac *f)
{
	if (!f)
		return;
	if (f->encoder) {
		f->failure = ECANCELED; /* so that it writes no more, wanted or not */
		FLAC__stream_encoder_delete(f->encoder);
	}
	if (f->comments)
		FLAC__metadata_object_delete(f->comments);
	free(f);
}
