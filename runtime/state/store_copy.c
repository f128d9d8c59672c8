/* Checks what is asked of the store and copies it into the request, before anything waits. */
#include "runtime/state/store-internal.h"

#include <errno.h>
#include <string.h>

static bool key_valid(const char *key, bool may_be_empty)
{
    size_t len = 0;

    for (; key[len]; len++)
        if (len >= SP_STORE_KEY_MAX || key[len] <= 0x20 || key[len] > 0x7e)
            return false;
    return len > 0 || may_be_empty;
}

int store_check_key(const char *key, bool is_prefix, struct sp_error *err)
{
    return key_valid(key, is_prefix) ? 0
                                     : sp_error_set(err, SP_ERR_INVALID, 0,
                                                    "a key of the store: expected up to %d "
                                                    "printable ASCII characters without blanks",
                                                    SP_STORE_KEY_MAX);
}

/* A key named twice in one branch has no order in etcd's transactions, so we have none either. */
static bool named_before(const struct sp_store_op *ops, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (ops[i].op != SP_STORE_DELETE_PREFIX && ops[at].op != SP_STORE_DELETE_PREFIX &&
            strcmp(ops[i].key, ops[at].key) == 0)
            return true;
    return false;
}

static int check_ops(const struct sp_store_op *ops, size_t n, struct sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int r = store_check_key(ops[i].key, ops[i].op == SP_STORE_DELETE_PREFIX, err);

        if (r < 0)
            return r;
        if (ops[i].op == SP_STORE_PUT && ops[i].value.len > SP_STORE_VALUE_MAX)
            return sp_error_set(err, SP_ERR_LIMIT, -EFBIG, "put '%s': over %zu bytes", ops[i].key,
                                SP_STORE_VALUE_MAX);
        if (named_before(ops, i))
            return sp_error_set(err, SP_ERR_INVALID, 0, "a transaction names '%s' twice",
                                ops[i].key);
    }
    return 0;
}

int store_check_txn(const struct sp_store_txn *txn, struct sp_error *err)
{
    if (txn->n_compares + txn->n_then + txn->n_otherwise > STORE_OPS_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, -E2BIG, "a transaction of more than %d operations",
                            STORE_OPS_MAX);
    for (size_t i = 0; i < txn->n_compares; i++) {
        int r = store_check_key(txn->compares[i].key, false, err);

        if (r < 0)
            return r;
    }
    if (check_ops(txn->then, txn->n_then, err) < 0)
        return err ? err->sys : -EINVAL;
    return check_ops(txn->otherwise, txn->n_otherwise, err);
}

static size_t ops_bytes(const struct sp_store_op *ops, size_t n)
{
    size_t size = n * sizeof(*ops);

    for (size_t i = 0; i < n; i++)
        size += strlen(ops[i].key) + 1 + (ops[i].op == SP_STORE_PUT ? ops[i].value.len : 0);
    return size;
}

size_t store_txn_bytes(const struct sp_store_txn *txn)
{
    size_t size = txn->n_compares * sizeof(*txn->compares);

    for (size_t i = 0; i < txn->n_compares; i++)
        size += strlen(txn->compares[i].key) + 1;
    return size + ops_bytes(txn->then, txn->n_then) + ops_bytes(txn->otherwise, txn->n_otherwise);
}

static char *copy_bytes(char **at, const void *from, size_t len)
{
    char *to = *at;

    if (len)
        memcpy(to, from, len);
    *at += len;
    return to;
}

/* The array was copied already; its strings and values follow at `*at`. */
static void copy_strings(struct sp_store_op *ops, size_t n, char **at)
{
    for (size_t i = 0; i < n; i++) {
        ops[i].key = copy_bytes(at, ops[i].key, strlen(ops[i].key) + 1);
        if (ops[i].op == SP_STORE_PUT)
            ops[i].value.ptr = copy_bytes(at, ops[i].value.ptr, ops[i].value.len);
    }
}

/* Arrays first, which keeps them aligned, then all strings. */
void store_copy_txn(struct store_request *request, const struct sp_store_txn *txn)
{
    char *at = (char *)(request + 1);
    struct sp_store_compare *compares;
    struct sp_store_op *then;
    struct sp_store_op *otherwise;

    compares = (void *)copy_bytes(&at, txn->compares, txn->n_compares * sizeof(*compares));
    then = (void *)copy_bytes(&at, txn->then, txn->n_then * sizeof(*then));
    otherwise = (void *)copy_bytes(&at, txn->otherwise, txn->n_otherwise * sizeof(*otherwise));
    for (size_t i = 0; i < txn->n_compares; i++)
        compares[i].key = copy_bytes(&at, compares[i].key, strlen(compares[i].key) + 1);
    copy_strings(then, txn->n_then, &at);
    copy_strings(otherwise, txn->n_otherwise, &at);
    request->txn = (struct sp_store_txn){compares,    txn->n_compares, then,
                                         txn->n_then, otherwise,       txn->n_otherwise};
}
