/* The pickle machine: a stack, a memo, and some twenty opcodes.
 *
 * Work and memory are bounded by the pickle's length: an opcode makes at most
 * one value, the memo grows by one at a time, and no value is ever walked
 * deeper than the one level that its consumer asks for. */
#include "engine/weights/pickle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

/* Six times what the largest checkpoint that we take needs. */
enum { MAX_OBJECTS = 32 * CKPT_MAX_TENSORS };

enum opcode {
	OP_MARK = '(',
	OP_STOP = '.',
	OP_BININT = 'J',
	OP_BININT1 = 'K',
	OP_BININT2 = 'M',
	OP_NONE = 'N',
	OP_BINPERSID = 'Q',
	OP_REDUCE = 'R',
	OP_BINUNICODE = 'X',
	OP_EMPTY_TUPLE = ')',
	OP_BUILD = 'b',
	OP_GLOBAL = 'c',
	OP_BINGET = 'h',
	OP_LONG_BINGET = 'j',
	OP_BINPUT = 'q',
	OP_LONG_BINPUT = 'r',
	OP_SETITEM = 's',
	OP_TUPLE = 't',
	OP_SETITEMS = 'u',
	OP_EMPTY_DICT = '}',
	OP_PROTO = 0x80,
	OP_TUPLE1 = 0x85,
	OP_TUPLE2 = 0x86,
	OP_TUPLE3 = 0x87,
	OP_NEWTRUE = 0x88,
	OP_NEWFALSE = 0x89,
	OP_LONG1 = 0x8a,
};

enum kind {
	KIND_MARK,
	KIND_NONE,
	KIND_BOOL,
	KIND_INT,
	KIND_TEXT,
	KIND_TUPLE,
	KIND_DICT,
	KIND_GLOBAL,
	KIND_STORAGE,
	KIND_TENSOR,
};

struct value {
	enum kind kind;
	uint32_t n; /* of text and tuple */
	union {
		int64_t i;
		const char *text; /* in the pickle */
		const struct value *items;
		struct dict *dict;
		const struct global *global;
		const struct storage *storage;
		const struct pickle_tensor *tensor;
	};
};

struct dict {
	struct pair *first, **link;
};

struct pair {
	struct value key, value;
	struct pair *next;
};

struct storage {
	enum ckpt_dtype dtype;
	const char *key;
	size_t key_len;
	int64_t n;
};

static const struct global {
	const char *name;
	enum { CALL_DICT, CALL_TENSOR, CALL_PARAMETER, STORAGE_TYPE } what;
	enum ckpt_dtype dtype;
} globals[] = {
	{"collections OrderedDict", CALL_DICT, CKPT_OTHER},
	{"torch._utils _rebuild_tensor_v2", CALL_TENSOR, CKPT_OTHER},
	{"torch._utils _rebuild_parameter", CALL_PARAMETER, CKPT_OTHER},
	{"torch FloatStorage", STORAGE_TYPE, CKPT_F32},
	{"torch HalfStorage", STORAGE_TYPE, CKPT_F16},
	{"torch BFloat16Storage", STORAGE_TYPE, CKPT_BF16},
	{"torch DoubleStorage", STORAGE_TYPE, CKPT_F64},
	{"torch LongStorage", STORAGE_TYPE, CKPT_I64},
	{"torch IntStorage", STORAGE_TYPE, CKPT_I32},
	{"torch ShortStorage", STORAGE_TYPE, CKPT_I16},
	{"torch CharStorage", STORAGE_TYPE, CKPT_I8},
	{"torch ByteStorage", STORAGE_TYPE, CKPT_U8},
	{"torch BoolStorage", STORAGE_TYPE, CKPT_BOOL},
};

struct values {
	struct value *at;
	size_t n, cap;
};

struct machine {
	const char *p, *begin, *end;
	const char *file;
	struct values stack, memo;
	struct arena arena;
	size_t n_objects;
	struct err *e;
};

static int damaged(struct machine *m, const char *what)
{
	return err_set(m->e, ERR_FORMAT,
		"'%s' is damaged (its pickle, near byte %zu, %s): download it again", m->file,
		(size_t)(m->p - m->begin), what);
}

/* ---- input -------------------------------------------------------------- */

static int take(struct machine *m, size_t n, const char **ret)
{
	*ret = m->p;
	if ((size_t)(m->end - m->p) < n)
		return damaged(m, "ends too early");
	m->p += n;
	return 0;
}

/* A little-endian number of 1, 2 or 4 bytes. */
static int take_uint(struct machine *m, size_t n, uint32_t *ret)
{
	const char *p;
	int rc = take(m, n, &p);

	*ret = 0;
	if (!rc)
		memcpy(ret, p, n);
	return rc;
}

/* ---- stack -------------------------------------------------------------- */

static int count_object(struct machine *m)
{
	return ++m->n_objects > MAX_OBJECTS ? damaged(m, "holds too many values") : 0;
}

static int push(struct machine *m, struct value v)
{
	int rc = count_object(m);

	if (!rc)
		*VEC_PUSH(&m->stack) = v;
	return rc;
}

static int push_int(struct machine *m, int64_t i)
{
	return push(m, (struct value){.kind = KIND_INT, .i = i});
}

/* The topmost n > 0 values, none of them a mark, leave the stack; they stay
 * readable until the next push. */
static int pop(struct machine *m, size_t n, const struct value **ret)
{
	*ret = m->stack.at;
	if (m->stack.n < n)
		return damaged(m, "takes more values than there are");
	*ret += m->stack.n - n;
	for (size_t i = 0; i < n; i++)
		if ((*ret)[i].kind == KIND_MARK)
			return damaged(m, "has a mark out of place");
	m->stack.n -= n;
	return 0;
}

/* The values above the topmost mark, and the mark, leave the stack. */
static int pop_to_mark(struct machine *m, const struct value **ret, size_t *ret_n)
{
	size_t n = 0;

	while (n < m->stack.n && m->stack.at[m->stack.n - 1 - n].kind != KIND_MARK)
		n++;
	if (n == m->stack.n)
		return damaged(m, "lacks a mark");
	*ret = m->stack.at + m->stack.n - n;
	*ret_n = n;
	m->stack.n -= n + 1;
	return 0;
}

static int push_tuple(struct machine *m, const struct value *items, size_t n)
{
	struct value *copy = ARENA_ARRAY(&m->arena, struct value, n + 1);

	if (n)
		memcpy(copy, items, n * sizeof(*copy));
	return push(m, (struct value){.kind = KIND_TUPLE, .n = (uint32_t)n, .items = copy});
}

static int push_dict(struct machine *m)
{
	struct dict *d = ARENA_NEW(&m->arena, struct dict);

	d->link = &d->first;
	return push(m, (struct value){.kind = KIND_DICT, .dict = d});
}

/* ---- what the opcodes do ------------------------------------------------ */

static int op_unicode(struct machine *m)
{
	const char *text = NULL;
	uint32_t n;
	int rc = take_uint(m, 4, &n);

	if (!rc)
		rc = take(m, n, &text);
	if (rc)
		return rc;
	if (memchr(text, 0, n) || !is_utf8(text, n))
		return damaged(m, "holds a text that is not UTF-8");
	return push(m, (struct value){.kind = KIND_TEXT, .n = n, .text = text});
}

static int op_long(struct machine *m)
{
	const char *p = NULL;
	int64_t v = 0;
	uint32_t n;
	int rc = take_uint(m, 1, &n);

	if (!rc)
		rc = take(m, n, &p);
	if (rc)
		return rc;
	if (n > sizeof(v))
		return damaged(m, "holds a number beyond 64 bits");
	if (n && p[n - 1] & 0x80)
		v = -1;
	memcpy(&v, p, n);
	return push_int(m, v);
}

static int take_line(struct machine *m, const char **ret, size_t *ret_n)
{
	const char *end = memchr(m->p, '\n', (size_t)(m->end - m->p));

	*ret = m->p;
	*ret_n = 0;
	if (!end)
		return damaged(m, "ends too early");
	*ret_n = (size_t)(end - m->p);
	m->p = end + 1;
	return 0;
}

static int op_global(struct machine *m)
{
	const char *module, *name = NULL;
	size_t module_n, name_n = 0;
	int rc = take_line(m, &module, &module_n);

	if (!rc)
		rc = take_line(m, &name, &name_n);
	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++) {
		const char *known = globals[i].name;
		if (strlen(known) == module_n + 1 + name_n && !memcmp(known, module, module_n) &&
			known[module_n] == ' ' && !memcmp(known + module_n + 1, name, name_n))
			return push(m, (struct value){.kind = KIND_GLOBAL, .global = &globals[i]});
	}
	return err_set(m->e, ERR_FORMAT,
		"'%s' asks for '%.*s.%.*s', which is no part of a tensor, so it could run a "
		"program: "
		"it is refused; use a safetensors file of this model from a source you trust",
		m->file, (int)(module_n < 100 ? module_n : 100), module,
		(int)(name_n < 100 ? name_n : 100), name);
}

/* The memo is filled in order, as every pickler does. */
static int op_put(struct machine *m, size_t index_bytes)
{
	uint32_t i;
	int rc = take_uint(m, index_bytes, &i);

	if (rc)
		return rc;
	if (!m->stack.n || m->stack.at[m->stack.n - 1].kind == KIND_MARK || i > m->memo.n)
		return damaged(m, "fills its memo out of order");
	const struct value top = m->stack.at[m->stack.n - 1];
	if (i < m->memo.n)
		m->memo.at[i] = top;
	else
		*VEC_PUSH(&m->memo) = top;
	return count_object(m);
}

static int op_get(struct machine *m, size_t index_bytes)
{
	uint32_t i;
	int rc = take_uint(m, index_bytes, &i);

	if (rc)
		return rc;
	if (i >= m->memo.n)
		return damaged(m, "takes from its memo what is not there");
	return push(m, m->memo.at[i]);
}

/* ("storage", torch.FloatStorage, key, place, number of elements) */
static int op_storage(struct machine *m)
{
	const struct value *id, *v;
	int rc = pop(m, 1, &id);

	if (rc)
		return rc;
	v = id->items;
	if (id->kind != KIND_TUPLE || id->n != 5 || v[0].kind != KIND_TEXT || v[0].n != 7 ||
		memcmp(v[0].text, "storage", 7) || v[1].kind != KIND_GLOBAL ||
		v[1].global->what != STORAGE_TYPE || v[2].kind != KIND_TEXT ||
		v[3].kind != KIND_TEXT || v[4].kind != KIND_INT || v[4].i < 0 ||
		v[4].i > CKPT_MAX_ELEMENTS)
		return damaged(m, "refers to something that is no storage");
	struct storage *s = ARENA_NEW(&m->arena, struct storage);
	s->dtype = v[1].global->dtype;
	s->key = v[2].text;
	s->key_len = v[2].n;
	s->n = v[4].i;
	return push(m, (struct value){.kind = KIND_STORAGE, .storage = s});
}

/* Extents and strides are sane and the view lies in its storage.  A view that
 * repeats elements (stride 0) must not be larger than what it repeats. */
static bool set_view(struct pickle_tensor *t, const struct value *size, const struct value *stride)
{
	uint64_t n = 1;
	int64_t last = t->first;

	for (int i = 0; i < t->n_dims; i++) {
		if (size[i].kind != KIND_INT || stride[i].kind != KIND_INT || size[i].i < 0 ||
			stride[i].i < 0 || __builtin_mul_overflow(n, (uint64_t)size[i].i, &n) ||
			n > (uint64_t)CKPT_MAX_ELEMENTS)
			return false;
		t->ne[i] = size[i].i;
		t->stride[i] = stride[i].i;
	}
	t->n_elements = n;
	if (t->first < 0 || t->first > t->storage_n || n > (uint64_t)t->storage_n)
		return false;
	for (int i = 0; n && i < t->n_dims; i++) {
		int64_t extent;
		if (__builtin_mul_overflow(t->ne[i] - 1, t->stride[i], &extent) ||
			__builtin_add_overflow(last, extent, &last))
			return false;
	}
	return !n || last < t->storage_n;
}

/* (storage, first element, size, stride, requires_grad, hooks[, metadata]) */
static int call_tensor(struct machine *m, const struct value *v, size_t n)
{
	if (n < 6 || n > 7 || v[0].kind != KIND_STORAGE || v[1].kind != KIND_INT ||
		v[2].kind != KIND_TUPLE || v[3].kind != KIND_TUPLE || v[2].n != v[3].n ||
		v[2].n > CKPT_MAX_DIMS)
		return damaged(m, "describes a tensor wrongly");
	struct pickle_tensor *t = ARENA_NEW(&m->arena, struct pickle_tensor);
	t->dtype = v[0].storage->dtype;
	t->key = v[0].storage->key;
	t->key_len = v[0].storage->key_len;
	t->storage_n = v[0].storage->n;
	t->first = v[1].i;
	t->n_dims = (int)v[2].n;
	if (!set_view(t, v[2].items, v[3].items))
		return damaged(m, "describes a tensor outside of its storage");
	return push(m, (struct value){.kind = KIND_TENSOR, .tensor = t});
}

static int op_reduce(struct machine *m)
{
	const struct value *v;
	int rc = pop(m, 2, &v);

	if (rc)
		return rc;
	if (v[0].kind != KIND_GLOBAL || v[1].kind != KIND_TUPLE)
		return damaged(m, "calls something that is no function");
	const struct value *args = v[1].items;
	const size_t n = v[1].n;
	switch (v[0].global->what) {
	case CALL_DICT:
		if (!n)
			return push_dict(m);
		break;
	case CALL_TENSOR:
		return call_tensor(m, args, n);
	case CALL_PARAMETER:
		if (n && args[0].kind == KIND_TENSOR)
			return push(m, args[0]);
		break;
	case STORAGE_TYPE:
		break;
	}
	return damaged(m, "calls a function with the wrong arguments");
}

/* Adds pairs to the dict on top of the stack. */
static int set_items(struct machine *m, const struct value *v, size_t n)
{
	const struct value *top = m->stack.n ? &m->stack.at[m->stack.n - 1] : NULL;

	if (!top || top->kind != KIND_DICT || n % 2)
		return damaged(m, "adds to something that is no dict");
	for (size_t i = 0; i < n; i += 2) {
		struct pair *p;
		if (v[i].kind != KIND_TEXT)
			return damaged(m, "has a name that is no text");
		p = ARENA_NEW(&m->arena, struct pair);
		p->key = v[i];
		p->value = v[i + 1];
		*top->dict->link = p;
		top->dict->link = &p->next;
	}
	return 0;
}

/* Attributes of a dict (_metadata: versions of modules) do not matter. */
static int op_build(struct machine *m)
{
	const struct value *state;
	int rc = pop(m, 1, &state);

	if (!rc && (!m->stack.n || m->stack.at[m->stack.n - 1].kind != KIND_DICT))
		return damaged(m, "gives attributes to something that is no dict");
	return rc;
}

static int op_tuple(struct machine *m, size_t n)
{
	const struct value *v;
	int rc = pop(m, n, &v);

	return rc ? rc : push_tuple(m, v, n);
}

static int op_proto(struct machine *m)
{
	uint32_t version;
	int rc = take_uint(m, 1, &version);

	return !rc && version != 2 ? damaged(m, "is not of protocol 2") : rc;
}

/* ---- the machine -------------------------------------------------------- */

static int step(struct machine *m, uint32_t op)
{
	const struct value *v = NULL;
	uint32_t u = 0;
	size_t n = 0;
	int rc;

	switch (op) {
	case OP_PROTO:
		return op_proto(m);
	case OP_MARK:
		return push(m, (struct value){.kind = KIND_MARK});
	case OP_NONE:
		return push(m, (struct value){.kind = KIND_NONE});
	case OP_NEWTRUE:
	case OP_NEWFALSE:
		return push(m, (struct value){.kind = KIND_BOOL, .i = op == OP_NEWTRUE});
	case OP_BININT:
	case OP_BININT1:
	case OP_BININT2:
		rc = take_uint(m, op == OP_BININT ? 4 : op == OP_BININT2 ? 2 : 1, &u);
		return rc ? rc : push_int(m, op == OP_BININT ? (int32_t)u : (int64_t)u);
	case OP_LONG1:
		return op_long(m);
	case OP_BINUNICODE:
		return op_unicode(m);
	case OP_EMPTY_TUPLE:
		return push_tuple(m, NULL, 0);
	case OP_TUPLE1:
	case OP_TUPLE2:
	case OP_TUPLE3:
		return op_tuple(m, 1 + op - OP_TUPLE1);
	case OP_TUPLE:
		rc = pop_to_mark(m, &v, &n);
		return rc ? rc : push_tuple(m, v, n);
	case OP_EMPTY_DICT:
		return push_dict(m);
	case OP_SETITEM:
		rc = pop(m, 2, &v);
		return rc ? rc : set_items(m, v, 2);
	case OP_SETITEMS:
		rc = pop_to_mark(m, &v, &n);
		return rc ? rc : set_items(m, v, n);
	case OP_GLOBAL:
		return op_global(m);
	case OP_BINPERSID:
		return op_storage(m);
	case OP_REDUCE:
		return op_reduce(m);
	case OP_BUILD:
		return op_build(m);
	case OP_BINPUT:
		return op_put(m, 1);
	case OP_LONG_BINPUT:
		return op_put(m, 4);
	case OP_BINGET:
		return op_get(m, 1);
	case OP_LONG_BINGET:
		return op_get(m, 4);
	}
	return err_set(m->e, ERR_FORMAT,
		"'%s' uses pickle opcode 0x%02x, which no file of tensors needs: it is refused; "
		"use a "
		"safetensors file of this model",
		m->file, (unsigned)op);
}

static int run(struct machine *m)
{
	uint32_t op;
	int rc;

	do {
		rc = take_uint(m, 1, &op);
		if (!rc && op == OP_STOP)
			break;
		if (!rc)
			rc = step(m, op);
	} while (!rc);
	if (!rc && (m->stack.n != 1 || m->stack.at[0].kind != KIND_DICT))
		return damaged(m, "does not hold a dict of tensors");
	return rc;
}

static int emit(struct machine *m, const struct dict *d,
	int (*fn)(void *ud, const struct pickle_tensor *t, struct err *e), void *ud)
{
	size_t n = 0;

	for (const struct pair *p = d->first; p; p = p->next) {
		if (p->value.kind != KIND_TENSOR)
			continue;
		struct pickle_tensor t = *p->value.tensor;
		t.name = p->key.text;
		t.name_len = p->key.n;
		int rc = fn(ud, &t, m->e);
		if (rc)
			return rc;
		n++;
	}
	if (!n)
		return err_set(m->e, ERR_FORMAT,
			"'%s' holds no tensors by name: use the pytorch_model.bin of a model in "
			"its Hugging Face layout",
			m->file);
	return 0;
}

int pickle_read(const void *pickle, size_t n, const char *file,
	int (*fn)(void *ud, const struct pickle_tensor *t, struct err *e), void *ud, struct err *e)
{
	struct machine m = {.p = pickle, .begin = pickle, .file = file, .e = e};

	m.end = m.begin + n;
	int rc = run(&m);
	if (!rc)
		rc = emit(&m, m.stack.at[0].dict, fn, ud);
	VEC_DONE(&m.stack);
	VEC_DONE(&m.memo);
	arena_done(&m.arena);
	return rc;
}
