#include <stdint.h>

void living_types(uintptr_t to);
extern void livingType(uintptr_t to, char *name);
