/* How many pools the C library makes for threads. */
#include "support.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { THREADS = 12 };

static pthread_barrier_t all_there;

static void *take_some(void *ctx)
{
    (void)ctx;
    void *memory = fw_malloc(100000); /* larger than what a thread keeps for itself */
    pthread_barrier_wait(&all_there);
    fw_free(memory);
    return NULL;
}

static size_t count_pools(void)
{
    size_t n = 0;
#ifdef __GLIBC__
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(malloc_info(0, out), 0);
    fclose(out);
    for (const char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++)
        n++;
    free(text);
#endif
    return n;
}

static void test_threads_share_few_pools(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    if (!fw_alloc_init())
        skip();
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t most = cores < 4 ? 1 : (size_t)cores / 4;
    assert_int_equal(pthread_barrier_init(&all_there, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_some, NULL), 0);
    pthread_barrier_wait(&all_there);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const size_t pools = count_pools();
    pthread_barrier_destroy(&all_there);
    CHECK_TRUE("counted", pools >= 1);
    CHECK_TRUE("few", pools <= (most < THREADS ? most : THREADS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_share_few_pools)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
