/* Threads that come and go while another is stepped; with an argument the leader is the first to go. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int steps;

void *leave(void *argument)
{
    return argument;
}

void *come_and_go(void *argument)
{
    for (;;) {
        pthread_t thread;
        pthread_create(&thread, NULL, leave, NULL);
        pthread_join(thread, NULL);
    }
    return argument;
}

void walk(void)
{
    for (int i = 0; i < 30; i++)
        steps++; /* walking */
}

void *outlive(void *argument)
{
    pthread_join(*(pthread_t *)argument, NULL);
    walk();
    exit(7);
}

int main(int argc, char **argv)
{
    static pthread_t leader, thread;
    if (argc > 1) {
        leader = pthread_self();
        pthread_create(&thread, NULL, outlive, &leader);
        pthread_exit(NULL);
    }
    pthread_create(&thread, NULL, come_and_go, NULL);
    walk();
    return 5;
}
