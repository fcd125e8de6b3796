/* Prints a line on each output stream without flushing either, reads lines, and says what came of it; `half_way` is between. */
#include <stdio.h>

void half_way(void)
{
}

int main(void)
{
    char line[64];
    puts("first out");
    fputs("first error\n", stderr);
    half_way();
    while (fgets(line, sizeof line, stdin))
        printf("read %s", line);
    puts("no more input");
    return 5;
}
