/* A shared library with a thread-local variable and a function to step into. */
__thread int library_number = 100;

int library_add(int n)
{
    library_number += n;
    return library_number;
}
