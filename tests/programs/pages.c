/* Two pages, the second one code that cannot be written, and a third that is not there. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

unsigned char *pages;

int text(int n)
{
    return n + 1;
}

void ready(void)
{
}

int main(void)
{
    pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, 0x11, 4096);
    memset(pages + 4096, 0x22, 4096);
    mprotect(pages + 4096, 4096, PROT_READ | PROT_EXEC);
    munmap(pages + 8192, 4096);
    ready();
    return text(4);
}
