/* Spectrograms as PNG files.
 *
 *	Hz  ┌───────────────┐  dB
 *	20k ┤    matrix     │ ▒├ 0
 *	 1k ┤               │ ▒├ -30
 *	    └┬─────┬─────┬──┘
 *	     0    10    20    s
 *
 * The file is made in memory and then written in one go: what goes wrong on the
 * way to the disk leaves nothing behind. */
#include "library/spectrum_png.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <png.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/spectrum.h"
#include "library/spectrum_axis.h"

/* Lengths in units, which are pixels in small pictures and more in large ones. */
enum {
	GLYPH_W = 5,
	GLYPH_H = 7,
	ADVANCE = 6,
	TICK = 3,
	LEFT = 4 * ADVANCE + TICK + 5,
	TOP = GLYPH_H + 8,
	BOTTOM = GLYPH_H + TICK + 6,
	LEGEND_GAP = 8,
	LEGEND_W = 8,
	RIGHT = LEGEND_GAP + LEGEND_W + TICK + 3 + 4 * ADVANCE,
};

static const struct rgb ink = {200, 200, 200}, paper = {16, 16, 16};

/* Five dots a line, the leftmost is 16. */
static const struct glyph {
	char c;
	uint8_t lines[GLYPH_H];
} font[] = {
	{'0', {14, 17, 19, 21, 25, 17, 14}},
	{'1', {4, 12, 4, 4, 4, 4, 14}},
	{'2', {14, 17, 1, 6, 8, 16, 31}},
	{'3', {14, 17, 1, 6, 1, 17, 14}},
	{'4', {2, 6, 10, 18, 31, 2, 2}},
	{'5', {31, 16, 30, 1, 1, 17, 14}},
	{'6', {6, 8, 16, 30, 17, 17, 14}},
	{'7', {31, 1, 2, 4, 4, 4, 4}},
	{'8', {14, 17, 17, 14, 17, 17, 14}},
	{'9', {14, 17, 17, 15, 1, 2, 12}},
	{'-', {0, 0, 0, 14, 0, 0, 0}},
	{'.', {0, 0, 0, 0, 0, 6, 6}},
	{'k', {16, 16, 18, 20, 24, 20, 18}},
	{'H', {17, 17, 17, 31, 17, 17, 17}},
	{'z', {0, 0, 31, 2, 4, 8, 31}},
	{'s', {0, 0, 15, 16, 14, 1, 30}},
	{'d', {1, 1, 13, 19, 17, 19, 13}},
	{'B', {30, 17, 17, 30, 17, 17, 30}},
};

_Static_assert(sizeof(struct rgb) == 3, "a row of pixels is a row of the file");

struct canvas {
	struct rgb *pixels; /* owned */
	int width, height, unit;
};

/* ---- drawing ------------------------------------------------------------ */

static void fill(struct canvas *c, int x, int y, int w, int h, struct rgb color)
{
	for (int j = y < 0 ? 0 : y; j < y + h && j < c->height; j++)
		for (int i = x < 0 ? 0 : x; i < x + w && i < c->width; i++)
			c->pixels[(size_t)j * (size_t)c->width + (size_t)i] = color;
}

static void draw_glyph(struct canvas *c, int x, int y, char letter)
{
	const int n = sizeof(font) / sizeof(*font), u = c->unit;

	for (int k = 0; k < n; k++)
		for (int j = 0; font[k].c == letter && j < GLYPH_H; j++)
			for (int i = 0; i < GLYPH_W; i++)
				if (font[k].lines[j] & (16 >> i))
					fill(c, x + i * u, y + j * u, u, u, ink);
}

static int text_width(const struct canvas *c, const char *text)
{
	return ((int)strlen(text) * ADVANCE - 1) * c->unit;
}

static void draw_text(struct canvas *c, int x, int y, const char *text)
{
	for (; *text; text++, x += ADVANCE * c->unit)
		draw_glyph(c, x, y, *text);
}

/* ---- the parts ---------------------------------------------------------- */

static int unit_for(int width, int height)
{
	int u = width / 800 < height / 300 ? width / 800 : height / 300;

	return u < 1 ? 1 : u;
}

int spectrum_png_plot(int width, int height, struct spectrum_png_plot *ret, struct err *e)
{
	int u;

	width = width ? width : SPECTRUM_PNG_WIDTH;
	height = height ? height : SPECTRUM_PNG_HEIGHT;
	if (width < SPECTRUM_PNG_WIDTH_MIN || width > SPECTRUM_PNG_WIDTH_MAX ||
		height < SPECTRUM_PNG_HEIGHT_MIN || height > SPECTRUM_PNG_HEIGHT_MAX)
		return err_set(e, ERR_ARG, "a picture of %dx%d: give %dx%d to %dx%d pixels", width,
			height, SPECTRUM_PNG_WIDTH_MIN, SPECTRUM_PNG_HEIGHT_MIN,
			SPECTRUM_PNG_WIDTH_MAX, SPECTRUM_PNG_HEIGHT_MAX);
	u = unit_for(width, height);
	*ret = (struct spectrum_png_plot){.x = LEFT * u,
		.y = TOP * u,
		.columns = width - (LEFT + RIGHT) * u,
		.rows = height - (TOP + BOTTOM) * u};
	return 0;
}

static int draw_matrix(struct canvas *c, const struct spectrum *s,
	const struct spectrum_png_plot *p, enum colormap map, struct err *e)
{
	void *levels = NULL;
	const uint8_t *level;
	int rc = mem_try_alloc(&levels, (size_t)p->columns, (size_t)p->rows, "the picture", e);

	if (rc)
		return rc;
	spectrum_read(s, 0, (size_t)p->columns, levels);
	level = levels;
	for (int x = 0; x < p->columns; x++)
		for (int y = p->rows - 1; y >= 0; y--)
			c->pixels[(size_t)(p->y + y) * (size_t)c->width + (size_t)(p->x + x)] =
				colormap_rgb(map, *level++);
	free(levels);
	return 0;
}

static void draw_frequencies(
	struct canvas *c, const struct spectrum *s, const struct spectrum_png_plot *p)
{
	const int u = c->unit;
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_frequencies(s, 2.0 * GLYPH_H * u / p->rows, t);

	for (size_t i = 0; i < n; i++) {
		int y = p->y + (int)((1 - t[i].at) * (p->rows - 1));

		fill(c, p->x - TICK * u, y, TICK * u, u, ink);
		draw_text(c, p->x - (TICK + 2) * u - text_width(c, t[i].text), y - GLYPH_H * u / 2,
			t[i].text);
	}
	draw_text(c, p->x - (TICK + 2) * u - text_width(c, "Hz"), 2 * u, "Hz");
}

static void draw_times(
	struct canvas *c, const struct spectrum *s, const struct spectrum_png_plot *p)
{
	const int u = c->unit, under = p->y + p->rows;
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_times(s, (size_t)(p->columns / (10 * ADVANCE * u)) + 1, t);

	for (size_t i = 0; i < n; i++) {
		int x = p->x + (int)(t[i].at * (p->columns - 1)), w = text_width(c, t[i].text);
		int left = x - w / 2, most = p->x + p->columns - w;

		fill(c, x, under, u, TICK * u, ink);
		draw_text(c, left < most ? left : most, under + (TICK + 2) * u, t[i].text);
	}
	draw_text(c, p->x + p->columns + LEGEND_GAP * u, under + (TICK + 2) * u, "s");
}

static void draw_legend(struct canvas *c, const struct spectrum *s,
	const struct spectrum_png_plot *p, enum colormap map)
{
	const int u = c->unit, x = p->x + p->columns + LEGEND_GAP * u, right = x + LEGEND_W * u;
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_levels(s, (size_t)(p->rows / (2 * GLYPH_H * u)) + 1, t);

	for (int y = 0; y < p->rows; y++)
		fill(c, x, p->y + y, LEGEND_W * u, 1,
			colormap_rgb(map, (uint8_t)(255 * (p->rows - 1 - y) /
						    (p->rows > 1 ? p->rows - 1 : 1))));
	for (size_t i = 0; i < n; i++) {
		int y = p->y + (int)((1 - t[i].at) * (p->rows - 1));

		fill(c, right, y, TICK * u, u, ink);
		draw_text(c, right + (TICK + 3) * u, y - GLYPH_H * u / 2, t[i].text);
	}
	draw_text(c, right + (TICK + 3) * u - ADVANCE * u, 2 * u, "dB");
}

/* ---- the file ----------------------------------------------------------- */

struct bytes {
	unsigned char *data; /* owned */
	size_t n, cap;
};

static void on_png_error(png_structp png, png_const_charp text)
{
	png_longjmp(png, 1);
}

static void on_png_warning(png_structp png, png_const_charp text)
{
}

static void on_png_data(png_structp png, png_bytep data, size_t n)
{
	struct bytes *b = png_get_io_ptr(png);

	if (b->cap - b->n < n) {
		size_t cap = (b->n + n) * 2;
		unsigned char *p = realloc(b->data, cap);

		if (!p)
			png_error(png, "memory");
		b->data = p;
		b->cap = cap;
	}
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static void on_png_flush(png_structp png)
{
}

/* False when memory is gone, the only thing that can happen. */
static bool compress(const struct canvas *c, png_structp png, png_infop info, struct bytes *b)
{
	char program[64];
	png_text text = {.compression = PNG_TEXT_COMPRESSION_NONE,
		.key = (char[]){"Software"},
		.text = program};

	snprintf(program, sizeof(program), "woodshed %s", woodshed_version);
	if (setjmp(png_jmpbuf(png)))
		return false;
	png_set_write_fn(png, b, on_png_data, on_png_flush);
	png_set_IHDR(png, info, (png_uint_32)c->width, (png_uint_32)c->height, 8,
		PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
		PNG_FILTER_TYPE_DEFAULT);
	png_set_text(png, info, &text, 1);
	png_write_info(png, info);
	for (int y = 0; y < c->height; y++)
		png_write_row(png, (png_const_bytep)(c->pixels + (size_t)y * (size_t)c->width));
	png_write_end(png, NULL);
	return true;
}

static int encode(const struct canvas *c, struct bytes *b, struct err *e)
{
	png_structp png =
		png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_png_error, on_png_warning);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	bool is_done = info && compress(c, png, info, b);

	png_destroy_write_struct(&png, &info);
	return is_done ? 0 : err_set(e, ERR_NOMEM, "not enough memory for the picture; free some");
}

/* The name that is renamed to: of a link, what it points to. */
static int find_target(const char *path, char ret[PATH_MAX], struct err *e)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno != ENOENT)
			return err_errno(e, errno, "cannot write '%s'", path);
	} else if (S_ISLNK(st.st_mode)) {
		if (!realpath(path, ret) || stat(ret, &st))
			return err_set(e, ERR_IO,
				"cannot write '%s': it is a link to a file that does not exist; "
				"remove it",
				path);
		path = ret;
	}
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return err_set(e, ERR_IO,
			"cannot write '%s': it is no file; give the name of a file", path);
	if (!stat(path, &st) && access(path, W_OK))
		return err_errno(e, errno, "cannot write '%s'", path);
	if (path != ret && snprintf(ret, PATH_MAX, "%s", path) >= PATH_MAX)
		return err_errno(e, ENAMETOOLONG, "cannot write '%s'", path);
	return 0;
}

/* A file that nobody has, beside the target; the kernel applies the umask. */
static int create_temporary(const char *path, struct str *ret_name)
{
	const char *slash = strrchr(path, '/');
	const int n = slash ? (int)(slash + 1 - path) : 0;
	int fd = -1;

	for (int tries = 0; tries < 100; tries++) {
		uint64_t id = 0;

		if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
			id = (uint64_t)getpid() + (uint64_t)tries;
		str_clear(ret_name);
		str_printf(ret_name, "%.*s.%.200s.%016llx.tmp", n, path, path + n,
			(unsigned long long)id);
		fd = open(ret_name->s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd;
}

/* 0, or an errno; then nothing is left.  A file that is replaced hands on its
 * permissions. */
static int replace(const char *path, const struct bytes *b)
{
	struct str fresh = {0};
	struct stat st;
	int fd = create_temporary(path, &fresh);
	int why = fd < 0 ? errno : write_synced(fd, b->data, b->n);

	if (!why && !stat(path, &st) && fchmod(fd, st.st_mode & 0777))
		why = errno;
	if (fd >= 0 && close(fd) && !why)
		why = errno;
	if (!why && rename(fresh.s, path))
		why = errno;
	if (why && fd >= 0)
		unlink(fresh.s);
	str_done(&fresh);
	return why;
}

/* So that the rename, too, is on the disk.  Some file systems cannot; then it is
 * as safe as it gets. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct str dir = {0};
	int fd;

	str_add_n(&dir, slash ? path : ".", slash ? (size_t)(slash + 1 - path) : 1);
	fd = open(dir.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	str_done(&dir);
}

static int save(const char *path, const struct bytes *b, struct err *e)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGXFSZ};
	char target[PATH_MAX];
	sigset_t held, before;
	int why, rc = find_target(path, target, e);

	if (rc)
		return rc;
	sigemptyset(&held);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		sigaddset(&held, ends[i]);
	pthread_sigmask(SIG_BLOCK, &held, &before);
	why = replace(target, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (why == ENOSPC || why == EDQUOT)
		return err_errno(e, why, "cannot write '%s' (free some space there)", path);
	if (why)
		return err_errno(e, why, "cannot write '%s'", path);
	sync_folder(target);
	return 0;
}

/* ---- the picture -------------------------------------------------------- */

static int draw(struct canvas *c, const struct spectrum *s, const struct spectrum_png_plot *p,
	enum colormap map, struct err *e)
{
	int rc = draw_matrix(c, s, p, map, e);

	if (rc)
		return rc;
	draw_frequencies(c, s, p);
	draw_times(c, s, p);
	draw_legend(c, s, p, map);
	return 0;
}

int spectrum_png_write(const struct spectrum *s, const struct spectrum_png_desc *d, struct err *e)
{
	struct canvas c = {.width = d->width ? d->width : SPECTRUM_PNG_WIDTH,
		.height = d->height ? d->height : SPECTRUM_PNG_HEIGHT};
	struct spectrum_png_plot plot = {0};
	struct bytes b = {0};
	void *pixels = NULL;
	int rc = spectrum_png_plot(d->width, d->height, &plot, e);

	if (!rc && (spectrum_asked(s)->columns != plot.columns ||
			   spectrum_asked(s)->rows != plot.rows))
		rc = err_set(e, ERR_ARG,
			"a spectrogram of %dx%d cells does not fit a picture for %dx%d",
			spectrum_asked(s)->columns, spectrum_asked(s)->rows, plot.columns,
			plot.rows);
	if (!rc)
		rc = mem_try_alloc(&pixels, (size_t)c.width * (size_t)c.height, sizeof(struct rgb),
			"the picture", e);
	if (rc)
		return rc;
	c.pixels = pixels;
	c.unit = unit_for(c.width, c.height);
	fill(&c, 0, 0, c.width, c.height, paper);
	rc = draw(&c, s, &plot, d->map, e);
	if (!rc)
		rc = encode(&c, &b, e);
	free(pixels);
	if (!rc)
		rc = save(d->path, &b, e);
	free(b.data);
	return rc;
}
