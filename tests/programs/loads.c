/* Loads the library that its argument names, calls `library_add` in it and unloads it. */
#include <dlfcn.h>

void opened(void)
{
}

void closed(void)
{
}

int main(int argc, char **argv)
{
    void *library = dlopen(argv[1], RTLD_NOW);
    int (*add)(int) = (int (*)(int))dlsym(library, "library_add");
    opened();
    int result = add(5);
    dlclose(library);
    closed();
    return result;
}
