/* Workers add one to the cell that they are told to; workers are born while others work. `after` follows each round. */
#include <pthread.h>
#include <unistd.h>

enum { WORKERS = 10, CELLS = 8 };

__attribute__((aligned(64))) volatile long cells[CELLS];
__attribute__((aligned(64))) volatile char bytes[64];
volatile long seen;
volatile int target = CELLS - 1;

void after(void)
{
}

void other(void)
{
}

static void *work(void *argument)
{
    __sync_fetch_and_add(&cells[target], 1);
    other();
    return argument;
}

static void in_threads(void)
{
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    for (int round = 0; round < 3; round++) {
        in_threads();
        for (int i = 0; i < CELLS; i++)
            cells[i]++;
        for (int i = 0; i < 64; i++)
            bytes[i]++;
        seen = cells[0];
        after();
    }
    return 0;
}
