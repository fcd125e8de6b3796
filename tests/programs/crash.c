/* Writes where nothing is mapped, by default; with an argument aborts, divides by zero or meets no instruction. */
#include <stdlib.h>

volatile int zero;

void crash(int *where)
{
    *where = 1;
}

int main(int argc, char **argv)
{
    switch (argc > 1 ? argv[1][0] : 0) {
    case 'a':
        abort();
    case 'd':
        zero = argc / zero;
        break;
    case 'i':
        __builtin_trap();
    }
    crash((int *)0x1234);
    return 0;
}
