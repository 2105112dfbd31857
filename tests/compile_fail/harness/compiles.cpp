// expect: a complaint
// SPDX-License-Identifier: MIT
int main() {}
