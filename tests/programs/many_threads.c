/* 200 threads one after another in groups of ten, each of which passes `visit` once. */
#include <pthread.h>
#include <stdio.h>

enum { GROUPS = 20, GROUP = 10 };

int visits;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void *visit(void *argument)
{
    pthread_mutex_lock(&lock);
    visits++; /* visiting */
    pthread_mutex_unlock(&lock);
    return argument;
}

void finished(void)
{
}

int main(void)
{
    for (int i = 0; i < GROUPS; i++) {
        pthread_t threads[GROUP];
        for (int j = 0; j < GROUP; j++)
            pthread_create(&threads[j], NULL, visit, NULL);
        for (int j = 0; j < GROUP; j++)
            pthread_join(threads[j], NULL);
    }
    finished();
    printf("%d visits\n", visits);
    return 0;
}
