/* A parsed query: nodes in one array, children before parents. */
#ifndef FW_QUERY_QUERY_INTERNAL_H
#define FW_QUERY_QUERY_INTERNAL_H

#include "query/query.h"

enum query_kind {
    QUERY_NUMBER,
    QUERY_SELECT,
    QUERY_NEGATE,    /* left */
    QUERY_OPERATE,   /* left `op` right */
    QUERY_AGGREGATE, /* of left */
    QUERY_TOPK,      /* of left; number */
};

enum query_aggregate { QUERY_SUM, QUERY_AVG, QUERY_MIN, QUERY_MAX, QUERY_COUNT };

struct query_node {
    enum query_kind kind;
    bool scalar;
    int left, right;
    char op; /* + - * / */
    double number;
    enum query_aggregate aggregate;
    size_t by_count;
    const char *by[QUERY_LABELS_MAX];
    struct query_selector *selector;
};

struct query {
    struct query_node nodes[QUERY_NODES_MAX];
    int count, root;
    char *texts; /* identifiers and strings, terminated */
    size_t texts_used, texts_cap;
};

#endif
