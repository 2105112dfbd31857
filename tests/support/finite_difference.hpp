// SPDX-License-Identifier: MIT
#pragma once

namespace prefer::test {

/// f'(x) by two central differences, the h^2 term of their errors removed (Richardson):
///
///   (4 D(h/2) - D(h)) / 3,  D(h) = (f(x + h) - f(x - h)) / 2h
///
/// The error is about h^4 / 480 * |f'''''| + 3 * eps * |f| / h: in long double with h = 2^-12 that is
/// 7e-18 * |f'''''| + 7e-16 * |f|.
template <class F>
[[nodiscard]] inline long double derivative(F const& f, long double x, long double h = 0x1p-12L) {
  auto const central = [&](long double step) { return (f(x + step) - f(x - step)) / (2 * step); };
  return (4 * central(h / 2) - central(h)) / 3;
}

}  // namespace prefer::test
