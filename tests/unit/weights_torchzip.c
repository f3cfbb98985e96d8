/* PyTorch files: those that torch wrote, zip64 by hand, and every kind of
 * file that is not what it says, up to pickles that want to run something. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

static const float storage[6] = {1, 2, 3, 4, 5, 6};

/* A plain view of all of `storage`. */
#define PLAIN                                                                                      \
	{                                                                                          \
		.storage_n = 6, .n_dims = 2, .ne = {2, 3}, .stride = { 3, 1 }                      \
	}

static void begin(struct str *p)
{
	str_clear(p);
	pickle_begin(p);
}

/* ---- good files --------------------------------------------------------- */

static void module_with_ties(void **state)
{
	struct ckpt *c;

	assert_int_equal(ckpt_open_file(FIXTURES "/module.bin", &c, NULL), 0);
	assert_int_equal(ckpt_count(c), 2);
	const struct ckpt_tensor *t = ckpt_find(c, "shared.weight");
	const struct ckpt_tensor *tied = ckpt_find(c, "tied.weight");
	assert_non_null(tied);
	assert_int_equal(t->offset, tied->offset);
	assert_int_equal(t->offset % 64, 0);
	float *x = read_all(c, "tied.weight");
	for (uint64_t i = 0; i < 24; i++)
		assert_true(x[i] == fixture_value("shared.weight", t, i));
	free(x);
	ckpt_close(c);
}

static void parameter(void **state)
{
	struct ckpt *c;

	assert_int_equal(ckpt_open_file(FIXTURES "/parameter.bin", &c, NULL), 0);
	const struct ckpt_tensor *t = ckpt_find(c, "p");
	float *x = read_all(c, "p");
	assert_int_equal(t->n_elements, 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(x[i] == fixture_value("p", t, i));
	free(x);
	ckpt_close(c);
}

static void check_one_to_six(const char *path)
{
	struct ckpt *c;
	struct err e = {0};

	if (ckpt_open_file(path, &c, &e))
		fail_msg("%s", e.text);
	float *x = read_all(c, "t");
	for (int i = 0; i < 6; i++)
		assert_true(x[i] == (float)(i + 1));
	free(x);
	ckpt_close(c);
}

/* Every size and offset in zip64 fields, behind another extra field. */
static void zip64_fields(void **state)
{
	const char *path = scratch_path(state, "wide.bin");
	struct zip_writer z = {.is_wide = true, .padding = 40};
	struct str p = {0};

	begin(&p);
	pickle_view(&p, "t", (struct view)PLAIN);
	pickle_end(&p);
	zip_add(&z, "top/folder/data.pkl", p.s, p.n);
	zip_add(&z, "top/folder/data/0", storage, sizeof(storage));
	zip_end(&z);
	scratch_write(path, z.out.s, z.out.n);
	check_one_to_six(path);
	zip_done(&z);
	str_done(&p);
}

/* The second storage and the directory lie behind 4 GiB of nothing. */
static void beyond_4_gib(void **state)
{
	const char *path = scratch_path(state, "sparse.bin");
	const uint64_t hole = ((uint64_t)4 << 30) + 12345;
	struct zip_writer head = {0}, tail = {0};
	struct str p = {0}, end = {0};
	struct stat st;

	begin(&p);
	pickle_view(&p, "t", (struct view)PLAIN);
	pickle_end(&p);
	zip_add(&head, "a/data.pkl", p.s, p.n);
	zip_add(&tail, "a/data/0", storage, sizeof(storage));
	/* The tail's entry has only its offset in the zip64 field. */
	char *entry = tail.directory.s;
	memset(entry + 42, 0xff, 4);
	entry[30] = 12;
	str_add_n(&end, head.directory.s, head.directory.n);
	str_add_n(&end, tail.directory.s, tail.directory.n);
	add_uint(&end, 1, 2);
	add_uint(&end, 8, 2);
	add_uint(&end, hole, 8);
	const uint64_t n_directory = end.n, at = hole + tail.out.n;
	str_add(&end, "PK\6\6");
	add_uint(&end, 44, 8);
	add_uint(&end, 0, 4);
	add_uint(&end, 0, 8);
	add_uint(&end, 2, 8);
	add_uint(&end, 2, 8);
	add_uint(&end, n_directory, 8);
	add_uint(&end, at, 8);
	str_add(&end, "PK\6\7");
	add_uint(&end, 0, 4);
	add_uint(&end, at + n_directory, 8);
	add_uint(&end, 1, 4);
	str_add(&end, "PK\5\6");
	add_uint(&end, 0, 4);
	add_uint(&end, 2, 2);
	add_uint(&end, 2, 2);
	add_uint(&end, n_directory, 4);
	add_uint(&end, UINT32_MAX, 4);
	add_uint(&end, 0, 2);

	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, head.out.s, head.out.n, 0), head.out.n);
	assert_int_equal(pwrite(fd, tail.out.s, tail.out.n, (off_t)hole), tail.out.n);
	assert_int_equal(pwrite(fd, end.s, end.n, (off_t)at), end.n);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks < 1000);
	close(fd);
	check_one_to_six(path);
	zip_done(&head);
	zip_done(&tail);
	str_done(&end);
	str_done(&p);
}

/* ---- broken zips -------------------------------------------------------- */

static void truncated(void **state)
{
	static const char *const files[] = {"module.bin", "views.bin"};

	for (int i = 0; i < 2; i++) {
		const char *path = scratch_path(state, files[i]);
		char from[4096];
		size_t n;
		snprintf(from, sizeof(from), "%s/%s", FIXTURES, files[i]);
		unsigned char *file = scratch_read(from, &n);
		scratch_write(path, file, n);
		while (n--) {
			assert_int_equal(truncate(path, (off_t)n), 0);
			assert_refused(path, ERR_FORMAT, "download it again");
		}
		free(file);
	}
}

/* Any byte changed: refused, or still within the file. */
static void changed_bytes(void **state)
{
	const char *path = scratch_path(state, "changed.bin");
	size_t n;
	unsigned char *file = scratch_read(FIXTURES "/views.bin", &n);
	float x[64];

	scratch_write(path, file, n);
	for (size_t i = 0; i < n * 3; i++) {
		static const unsigned char flips[] = {0x01, 0x80, 0xff};
		const unsigned char changed = file[i / 3] ^ flips[i % 3];
		struct ckpt *c;
		int fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, &changed, 1, (off_t)(i / 3)), 1);
		if (!ckpt_open_file(path, &c, NULL)) {
			for (size_t j = 0; j < ckpt_count(c); j++) {
				const struct ckpt_tensor *t = ckpt_at(c, j);
				assert_true(t->n_elements <= 48);
				int rc = ckpt_read_f32(c, t, 0, t->n_elements, x, NULL);
				assert_true(rc == 0 || rc == ERR_FORMAT);
			}
			ckpt_close(c);
		}
		assert_int_equal(pwrite(fd, &file[i / 3], 1, (off_t)(i / 3)), 1);
		close(fd);
	}
	free(file);
}

static void wrong_zips(void **state)
{
	const char *path = scratch_path(state, "a.bin");
	struct str p = {0};

	begin(&p);
	pickle_view(&p, "t", (struct view)PLAIN);
	pickle_end(&p);
	for (int i = 0; i < 12; i++) {
		static const struct {
			const char *error;
			int code;
		} expected[] = {
			{"directory is broken", ERR_FORMAT},
			{"directory is broken", ERR_FORMAT},
			{"without data.pkl", ERR_FORMAT},
			{"two pickles", ERR_FORMAT},
			{"are missing", ERR_FORMAT},
			{"are too short", ERR_FORMAT},
			{"big-endian", ERR_UNSUPPORTED},
			{"twice", ERR_FORMAT},
			{"not where its directory says", ERR_FORMAT},
			{"outside", ERR_FORMAT},
			{"zip64 record is missing", ERR_FORMAT},
			{"directory is broken", ERR_FORMAT},
		};
		struct zip_writer z = {.method = i == 0 ? 8 : 0, .flags = i == 1};
		zip_add(&z, i == 2 ? "a/data.txt" : "a/data.pkl", p.s, p.n);
		if (i == 3)
			zip_add(&z, "b/data.pkl", p.s, p.n);
		zip_add(&z, i == 4 ? "a/data/1" : "a/data/0", storage, sizeof(storage) - (i == 5));
		if (i == 6)
			zip_add(&z, "a/byteorder", "big", 3);
		if (i == 7)
			zip_add(&z, "a/data/0", storage, sizeof(storage));
		if (i == 8) /* the local name has another length */
			z.out.s[26]++;
		zip_end(&z);
		char *end = z.out.s + z.out.n - 22;
		if (i == 9) /* directory behind the file's end */
			end[18] = 1;
		if (i == 10)
			memset(end + 10, 0xff, 2);
		if (i == 11) /* one entry more than there are */
			end[10]++;
		scratch_write(path, z.out.s, z.out.n);
		assert_refused(path, expected[i].code, expected[i].error);
		zip_done(&z);
	}
	str_done(&p);
}

/* ---- hostile pickles ---------------------------------------------------- */

static void refuse(void **state, const struct str *p, const char *error)
{
	const char *path = scratch_path(state, "hostile.bin");

	torch_file(path, p, storage, sizeof(storage));
	assert_refused(path, ERR_FORMAT, error);
}

static void programs(void **state)
{
	static const char *const globals[][2] = {
		{"cos\nsystem\n", "'os.system'"},
		{"cbuiltins\neval\n", "'builtins.eval'"},
		{"cposix\nsystem\n", "'posix.system'"},
		{"ctorch\nload\n", "'torch.load'"},
		{"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "__globals__"},
		{"ctorch\nFloatStorage \n", "'torch.FloatStorage '"},
		{"ctorch FloatStorage\n\n", "asks for"},
		{"c\n\n", "asks for"},
		{"ccollections\nOrderedDict.update\n", "asks for"},
		{"c\x1b[2J\n\x07\n", "asks for '?[2J.?'"},
		{"cos", "ends too early"},
		{"cos\nsystem", "ends too early"},
	};
	struct str p = {0};

	for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++) {
		str_clear(&p);
		str_add_n(&p, "\x80\x02", 2);
		str_add(&p, globals[i][0]);
		if (i < 9) {
			pickle_text(&p, "id > /tmp/owned");
			str_add(&p, "\x85R.");
		}
		refuse(state, &p, globals[i][1]);
	}
	str_done(&p);
}

static void wrong_opcodes(void **state)
{
	static const struct {
		const char *code;
		size_t n;
		const char *error;
	} cases[] = {
#define CASE(code, error) {code, sizeof(code) - 1, error}
		CASE("", "ends too early"),
		CASE(".", "does not hold a dict"),
		CASE("}}.", "does not hold a dict"),
		CASE("K\x01.", "does not hold a dict"),
		CASE("(.", "does not hold a dict"),
		CASE("}.", "no tensors by name"),
		CASE("}X\x01\0\0\0aK\x01s.", "no tensors by name"),
		CASE("\x80\x04}.", "protocol 2"),
		CASE("\x80", "ends too early"),
		CASE("\x95\0\0\0\0\0\0\0\0}.", "opcode 0x95"),
		CASE("i__main__\nx\n", "opcode 0x69"),
		CASE("\x81", "opcode 0x81"),
		CASE("\x93", "opcode 0x93"),
		CASE("]", "opcode 0x5d"),
		CASE("o", "opcode 0x6f"),
		CASE("\xff", "opcode 0xff"),
		CASE("P0\n", "opcode 0x50"),
		/* stack */
		CASE("\x85", "more values than there are"),
		CASE("K\x01\x87", "more values than there are"),
		CASE("R", "more values than there are"),
		CASE("K\x01R", "more values than there are"),
		CASE("b", "more values than there are"),
		CASE("s", "more values than there are"),
		CASE("t", "lacks a mark"),
		CASE("u", "lacks a mark"),
		CASE("(\x85", "mark out of place"),
		CASE("}(K\x01u.", "no dict"),
		CASE("}((u.", "no dict"),
		CASE("(u", "no dict"),
		CASE("K\x01(K\x01K\x02u", "no dict"),
		CASE("}K\x01K\x02s", "no text"),
		CASE("K\x01K\x02"
		     "b",
			"no dict"),
		/* memo */
		CASE("}q\x01", "out of order"),
		CASE("}r\xff\xff\xff\xff", "out of order"),
		CASE("q\0", "out of order"),
		CASE("(q\0", "out of order"),
		CASE("h\0", "not there"),
		CASE("}q\0h\x01", "not there"),
		CASE("j\xff\xff\xff\xff", "not there"),
		CASE("}q", "ends too early"),
		CASE("j\0\0", "ends too early"),
		/* calls */
		CASE("X\x02\0\0\0os)R", "no function"),
		CASE("K\x01)R", "no function"),
		CASE("ccollections\nOrderedDict\nK\x01R", "no function"),
		CASE("ccollections\nOrderedDict\nK\x01\x85R", "wrong arguments"),
		CASE("ctorch\nFloatStorage\n)R", "wrong arguments"),
		CASE("ctorch._utils\n_rebuild_parameter\n)R", "wrong arguments"),
		CASE("ctorch._utils\n_rebuild_parameter\nK\x01\x85R", "wrong arguments"),
		CASE("ctorch._utils\n_rebuild_tensor_v2\n)R", "describes a tensor wrongly"),
		/* numbers and texts */
		CASE("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01.", "beyond 64 bits"),
		CASE("\x8a\xff", "ends too early"),
		CASE("\x8a\x02\x01", "ends too early"),
		CASE("J\0\0", "ends too early"),
		CASE("X\xff\xff\xff\xff", "ends too early"),
		CASE("X\x01\0\0\0\xff", "not UTF-8"),
		CASE("X\x01\0\0\0\0", "not UTF-8"),
		/* storages */
		CASE("K\x01Q", "no storage"),
		CASE(")Q", "no storage"),
		CASE("(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0000X\x03\0\0\0cpuJ"
		     "\xff\xff\xff\xfftQ",
			"no storage"),
		CASE("(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0000X\x03\0\0\0cpu"
		     "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ",
			"no storage"),
		CASE("(X\x07\0\0\0storageccollections\nOrderedDict\nX\x01\0\0\0000X\x03\0\0\0cpuK"
		     "\x01tQ",
			"no storage"),
#undef CASE
	};
	struct str p = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		str_clear(&p);
		str_add_n(&p, cases[i].code, cases[i].n);
		refuse(state, &p, cases[i].error);
	}
	str_done(&p);
}

static void wrong_views(void **state)
{
	static const struct {
		struct view view;
		const char *error;
	} cases[] = {
		{{.storage_n = 7, .n_dims = 1, .ne = {7}, .stride = {1}}, "too short"},
		{{.type = "DoubleStorage", .storage_n = 6, .n_dims = 1, .ne = {6}, .stride = {1}},
			"too short"},
		{{.key = "1", .storage_n = 6, .n_dims = 1, .ne = {6}, .stride = {1}}, "missing"},
		{{.key = "../byteorder", .storage_n = 1, .n_dims = 1, .ne = {1}, .stride = {1}},
			"missing"},
		{{.storage_n = 6, .n_dims = 1, .ne = {7}, .stride = {1}}, "outside"},
		{{.storage_n = 6, .n_dims = 1, .ne = {4}, .stride = {2}}, "outside"},
		{{.storage_n = 6, .first = 1, .n_dims = 1, .ne = {6}, .stride = {1}}, "outside"},
		{{.storage_n = 6, .first = -1, .n_dims = 1, .ne = {2}, .stride = {1}}, "outside"},
		{{.storage_n = 6, .first = 7, .n_dims = 1, .ne = {0}, .stride = {1}}, "outside"},
		{{.storage_n = 6, .first = 5, .n_dims = 1, .ne = {6}, .stride = {-1}}, "outside"},
		{{.storage_n = 6, .n_dims = 1, .ne = {-1}, .stride = {1}}, "outside"},
		{{.storage_n = 6, .n_dims = 2, .ne = {4, 2}, .stride = {0, 0}}, "outside"},
		{{.storage_n = 6, .n_dims = 2, .ne = {INT64_MAX, 2}, .stride = {1, 1}}, "outside"},
		{{.storage_n = 6,
			 .n_dims = 2,
			 .ne = {(int64_t)1 << 32, (int64_t)1 << 32},
			 .stride = {0, 0}},
			"outside"},
		{{.storage_n = 6, .n_dims = 1, .ne = {3}, .stride = {INT64_MAX}}, "outside"},
		{{.storage_n = 6, .first = INT64_MAX, .n_dims = 1, .ne = {2}, .stride = {1}},
			"outside"},
		{{.storage_n = 6, .n_dims = 9, .ne = {1, 1, 1, 1, 1, 1, 1, 1, 1}},
			"describes a tensor wrongly"},
		{{.type = "Storage", .storage_n = 6, .n_dims = 1, .ne = {6}, .stride = {1}},
			"'torch.Storage'"},
	};
	struct str p = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin(&p);
		pickle_view(&p, "t", cases[i].view);
		pickle_end(&p);
		refuse(state, &p, cases[i].error);
	}
	begin(&p);
	pickle_view(&p, "t", (struct view)PLAIN);
	pickle_view(&p, "t", (struct view)PLAIN);
	pickle_end(&p);
	refuse(state, &p, "twice");
	str_done(&p);
}

/* Nesting and repetition cost neither stack nor time beyond the file's size. */
static void bombs(void **state)
{
	struct str p = {0};

	/* a tuple in a tuple in a tuple ... */
	str_add_n(&p, "\x80\x02)", 3);
	for (int i = 0; i < 1000000; i++)
		str_add(&p, "\x85");
	str_add(&p, ".");
	refuse(state, &p, "does not hold a dict");
	/* each level holds the one below twice: 2^1000 leaves for who walks them */
	str_clear(&p);
	str_add_n(&p, "\x80\x02)", 3);
	for (int i = 0; i < 1000; i++) {
		str_add(&p, "r");
		add_uint(&p, (uint64_t)i, 4);
		str_add(&p, "j");
		add_uint(&p, (uint64_t)i, 4);
		str_add(&p, "\x86");
	}
	str_add(&p, ".");
	refuse(state, &p, "does not hold a dict");
	/* a dict in itself */
	str_clear(&p);
	str_add_n(&p, "\x80\x02}q\0X\x01\0\0\0ah\0s.", 16);
	refuse(state, &p, "no tensors by name");
	/* more values than any checkpoint has */
	str_clear(&p);
	for (int i = 0; i < 3000000; i++)
		str_add(&p, "}");
	refuse(state, &p, "too many values");
	str_done(&p);
}

/* The whole range of memo and number encodings, in one good file. */
static void every_opcode(void **state)
{
	const char *path = scratch_path(state, "good.bin");
	struct str p = {0};

	str_add_n(&p, "\x80\x02", 2);
	str_add(&p, "ccollections\nOrderedDict\n)R");
	str_add_n(&p, "q\0r\x01\0\0\0", 7);
	str_add_n(&p, "X\x01\0\0\0t", 6);
	str_add(&p, "ctorch._utils\n_rebuild_tensor_v2\n((");
	pickle_text(&p, "storage");
	str_add(&p, "ctorch\nFloatStorage\n");
	pickle_text(&p, "0");
	pickle_text(&p, "cuda:0");
	str_add_n(&p, "M\x06\0tQ", 5); /* BININT2 */
	str_add_n(&p, "\x8a\0", 2);    /* LONG1 0 */
	str_add_n(&p, "\x8a\x01\x06\x85", 4);
	str_add_n(&p, "J\x01\0\0\0\x85", 6);
	str_add_n(&p, "\x88", 1);
	str_add(&p, "ccollections\nOrderedDict\n)R");
	str_add(&p, "NtR"); /* 7 arguments: metadata */
	str_add(&p, "s");
	/* _metadata */
	str_add_n(&p, "}(X\x09\0\0\0_metadatah\0u", 19);
	str_add(&p, "b.");
	torch_file(path, &p, storage, sizeof(storage));
	check_one_to_six(path);
	str_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(module_with_ties),
		cmocka_unit_test(parameter),
		cmocka_unit_test_setup_teardown(zip64_fields, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(beyond_4_gib, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(truncated, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(changed_bytes, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(wrong_zips, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(programs, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(wrong_opcodes, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(wrong_views, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(bombs, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(every_opcode, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
