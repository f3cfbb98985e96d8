#include "tests/bench/device.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/gpu.h"
#include "library/base/clock.h"

bool bench_device_option(struct bench_device *d, int argc, char **argv, int *i)
{
	if (!strcmp(argv[*i], "--cold"))
		d->cold = true;
	else if (!strcmp(argv[*i], "--eager"))
		d->eager = true;
	else if (!strcmp(argv[*i], "--device") && *i + 1 < argc)
		d->name = argv[++*i];
	else if (!strcmp(argv[*i], "--module") && *i + 1 < argc)
		gpu_use_module(argv[++*i]);
	else
		return false;
	return true;
}

bool bench_device_is_ahead(const struct bench_device *d)
{
	return strcmp(d->name, "cpu") != 0;
}

static double copy_rate(struct gpu *g, uint64_t bytes, double *ret_s)
{
	enum { PASSES = 10 };
	struct gpu_arena *a = gpu_arena_new(g, "bandwidth");
	const int64_t n = (int64_t)bytes / 4;
	struct gpu_tensor *from = gpu_zeros(g, a, GPU_F32, "from", SHAPE(n)),
			  *to = gpu_new(g, a, GPU_F32, "to", SHAPE(n));
	double best = 1e30;

	for (int i = 0; i < PASSES; i++) {
		gpu_sync(g, NULL);
		const double start = clock_now();
		gpu_copy(g, to, from);
		gpu_sync(g, NULL);
		const double s = clock_now() - start;
		best = s < best ? s : best;
	}
	gpu_arena_free(a);
	*ret_s = best;
	return 2 * (double)bytes / best;
}

/* Far more than the device's caches hold, unless that takes long (the emulated one). */
double bench_device_bandwidth(struct gpu *g)
{
	const uint64_t most = 2ull << 30, free = gpu_bytes_free(g);
	double rate = 0, seconds = 0;

	for (uint64_t bytes = 1 << 20; bytes <= most && bytes < free / 4 && seconds < 2e-3;
		bytes *= 2)
		rate = copy_rate(g, bytes, &seconds);
	return rate;
}

static uint64_t found;
static bool drop;

static int on_file(const char *path, const struct stat *st, int type, struct FTW *unused)
{
	const char *dot = strrchr(path, '.');

	if (type != FTW_F || !dot || (strcmp(dot, ".safetensors") && strcmp(dot, ".bin")))
		return 0;
	found += (uint64_t)st->st_size;
	const int fd = drop ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fdatasync(fd);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	return 0;
}

uint64_t bench_weight_files(const char *dir, bool cold)
{
	found = 0;
	drop = cold;
	nftw(dir, on_file, 16, 0);
	return found;
}
