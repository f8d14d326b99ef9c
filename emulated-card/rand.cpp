// cuRAND: generators can be made, so that a device can be opened; they generate nothing, since tests
// that depend on the card's random numbers would not hold elsewhere.
#include "card.h"

namespace {
enum Status { SUCCESS = 0, INITIALIZATION_FAILED = 203 };
}

extern "C" {

Status curandCreateGenerator(void **generator, int) {
    if (!emulator::card_enabled()) return INITIALIZATION_FAILED;
    return *generator = new int(0), SUCCESS;
}
Status curandDestroyGenerator(void *generator) { return delete static_cast<int *>(generator), SUCCESS; }
Status curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return SUCCESS; }
Status curandSetStream(void *, void *) { return SUCCESS; }

}  // extern "C"
