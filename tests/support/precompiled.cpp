// SPDX-License-Identifier: MIT
// The precompiled header needs a source that uses it: main.cpp cannot, because its macro comes before the include.
