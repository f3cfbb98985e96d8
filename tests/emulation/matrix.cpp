/* What tensor cores and copies past the registers do: mma, ldmatrix, cp.async. */
#include "tests/emulation/emulator.hpp"

#include <stdlib.h>
#include <string.h>

static void need_arch(int arch, const char *what)
{
	if (emulator_device()->arch < arch)
		emulator_report(emulator_run.now, "%s needs compute capability %d.%d", what,
			arch / 10, arch % 10);
}

static void need_shared(const void *p, const char *what)
{
	if (!emulator_is_shared(p))
		emulator_report(emulator_run.now, "%s: %p is not in shared memory", what, p);
}

/* ---- products ----------------------------------------------------------- */

static float from_bf16(unsigned pair, unsigned half)
{
	const uint32_t u = half ? pair & 0xffff0000 : pair << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Fragments as in the PTX manual, "Matrix fragments for mma.m16n8k16": lane l holds
 *	a[i]: row l/4 + 8 (i & 1), columns 2 (l%4) + 8 (i >> 1) and the next
 *	b[i]: column l/4, rows 2 (l%4) + 8 i and the next
 *	d[i]: row l/4 + 8 (i >> 1), column 2 (l%4) + (i & 1).
 * Products are exact, sums rounded once; a device rounds oftener. */
void emulator_multiply(struct emulator_fibre *warp)
{
	static float a[16][16], b[16][8];

	for (unsigned l = 0; l < LANES; l++) {
		const unsigned *fa = (const unsigned *)warp[l].in[0];
		const unsigned *fb = (const unsigned *)warp[l].in[1];
		for (unsigned i = 0; i < 8; i++)
			a[l / 4 + 8 * (i / 2 & 1)][2 * (l % 4) + 8 * (i / 4) + i % 2] =
				from_bf16(fa[i / 2], i % 2);
		for (unsigned i = 0; i < 4; i++)
			b[2 * (l % 4) + 8 * (i / 2) + i % 2][l / 4] = from_bf16(fb[i / 2], i % 2);
	}
	for (unsigned l = 0; l < LANES; l++) {
		float *d = (float *)warp[l].out;
		for (unsigned i = 0; i < 4; i++) {
			double sum = d[i];
			for (unsigned k = 0; k < 16; k++)
				sum += (double)a[l / 4 + 8 * (i / 2)][k] *
				       b[k][2 * (l % 4) + i % 2];
			d[i] = (float)sum;
		}
	}
}

/* Lane 8 j + r brought row r of matrix j, eight elements of 16 bits; lane l leaves with
 * elements 2 (l%4) and the next of row l/4 of each, or, transposed, of column l/4. */
void emulator_load_matrices(struct emulator_fibre *warp)
{
	const unsigned n = (unsigned)warp[0].width;

	for (unsigned l = 0; l < LANES; l++)
		for (unsigned j = 0; j < n; j++) {
			uint16_t pair[2];
			for (unsigned i = 0; i < 2; i++) {
				const unsigned c = 2 * (l % 4) + i, r = l / 4;
				const struct emulator_fibre *f =
					&warp[8 * j + (warp[l].lane ? c : r)];
				memcpy(&pair[i],
					(const char *)f->in[0] + 2 * (warp[l].lane ? r : c), 2);
			}
			((unsigned *)warp[l].out)[j] = pair[0] | (unsigned)pair[1] << 16;
		}
}

void emulation_mma_bf16(float d[4], const unsigned a[4], const unsigned b[2])
{
	struct emulator_fibre *me = emulator_run.now;

	need_arch(80, "a matrix product of bf16");
	me->op = EMULATION_MMA;
	me->mask = 0xffffffffu;
	me->in[0] = a;
	me->in[1] = b;
	me->out = d;
	emulator_meet(me);
}

void emulation_ldmatrix(unsigned *r, int n, bool transposed, const void *row)
{
	struct emulator_fibre *me = emulator_run.now;

	if (me->index % LANES < 8 * (unsigned)n) {
		if ((uintptr_t)row % 16)
			emulator_report(me, "misaligned: ldmatrix of a row at %p", row);
		need_shared(row, "ldmatrix");
		emulator_check(row, 16, false, __builtin_return_address(0));
	}
	me->op = EMULATION_LDMATRIX;
	me->mask = 0xffffffffu;
	me->in[0] = row;
	me->out = r;
	me->lane = transposed;
	me->width = n;
	emulator_meet(me);
}

/* ---- copies ------------------------------------------------------------- */

/* A copy lands when its thread waits for its group; until then there are NaNs. */
struct pending {
	void *shared;
	const void *global, *pc;
	size_t bytes, bytes_read;
	unsigned group;
};
/* Those of a thread, in order; the first are done. */
static struct copies {
	struct pending *at;
	size_t n, n_done, n_room;
	unsigned group; /* that the next is of */
} copies[MAX_THREADS];

void emulator_copies_begin(void)
{
	for (unsigned i = 0; i < MAX_THREADS; i++) {
		copies[i].n = copies[i].n_done = 0;
		copies[i].group = 0;
	}
}

void emulation_copy_async(void *shared, const void *global, size_t bytes, size_t bytes_read)
{
	struct emulator_fibre *me = emulator_run.now;
	const void *pc = __builtin_return_address(0);

	need_arch(80, "cp.async");
	need_shared(shared, "cp.async");
	if ((uintptr_t)shared % bytes || (uintptr_t)global % bytes)
		emulator_report(
			me, "misaligned: a copy of %zu bytes from %p to %p", bytes, global, shared);
	emulator_check(global, bytes_read, false, pc);
	emulator_check(shared, bytes, true, pc);
	memset(shared, 0xff, bytes);
	struct copies *c = &copies[me->index];
	if (c->n_done == c->n)
		c->n = c->n_done = 0;
	if (c->n == c->n_room) {
		c->n_room = c->n_room ? 2 * c->n_room : 16;
		c->at = (struct pending *)realloc(c->at, c->n_room * sizeof(*c->at));
		if (!c->at)
			abort();
	}
	c->at[c->n++] = {shared, global, pc, bytes, bytes_read, c->group};
}

void emulation_copy_async_commit(void)
{
	copies[emulator_run.now->index].group++;
}

/* All but the last n groups have landed. */
void emulation_copy_async_wait(unsigned n)
{
	struct copies *c = &copies[emulator_run.now->index];

	for (; c->n_done < c->n && c->at[c->n_done].group + n < c->group; c->n_done++) {
		const struct pending *p = &c->at[c->n_done];
		emulator_check(p->shared, p->bytes, true, p->pc);
		memset(p->shared, 0, p->bytes);
		memcpy(p->shared, p->global, p->bytes_read);
	}
}
