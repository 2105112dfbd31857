// expect first: a sentence that comes second
// SPDX-License-Identifier: MIT
#error "a sentence that comes first"
#error "a sentence that comes second"
