/* Straight-line code with calls, a loop, a recursion, a callback from the C library and globals to watch. */
#include <stdio.h>
#include <stdlib.h>

int counter;
int limit = 3;
double ratio = 1.5;
int table[4] = {3, 1, 4, 1};
char text[] = "hay hay needle hay needle hay";

int add(int a, int b)
{
    int sum = a + b;
    return sum;
}

int twice(int n)
{
    int doubled = add(n, n);
    return doubled;
}

int factorial(int n)
{
    if (n < 2)
        return 1; /* innermost */
    return n * factorial(n - 1);
}

int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void count(int times)
{
    for (int i = 0; i < times; i++)
        counter += limit; /* counting */
}

int main(int argc, char **argv)
{
    int first = add(1, 2);                      /* first */
    int second = twice(first);                  /* second */
    int third = factorial(5);                   /* third */
    count(5);                                   /* fourth */
    qsort(table, 4, sizeof table[0], compare);  /* fifth */
    printf("%d %d %d %d %d\n", first, second, third, counter, table[0]);
    return argc + second;                       /* last */
}
