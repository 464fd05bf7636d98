/* A program that is no Fluent Bit: it only opens the library it is given. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *handle = dlopen(argc > 1 ? argv[1] : "", RTLD_LAZY);
    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    puts("opened");
    return 0;
}
