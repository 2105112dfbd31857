// SPDX-License-Identifier: MIT
#pragma once

namespace prefer::test {

/// f'(x) by two central differences, the h^2 term of their errors removed (Richardson):
///
///   (4 D(h/2) - D(h)) / 3,  D(h) = (f(x + h) - f(x - h)) / 2h
///
/// The error is about h^4 / 480 * |f'''''| + 3 * eps * |f| / h. In long double with h = 2^-10 that is
/// 2e-15 * |f'''''| + 3e-16 * |f|: the step that balances the two for functions of unit scale.
template <class F>
[[nodiscard]] inline long double derivative(F const& f, long double x, long double h = 0x1p-10L) {
  auto const central = [&](long double step) { return (f(x + step) - f(x - step)) / (2 * step); };
  return (4 * central(h / 2) - central(h)) / 3;
}

}  // namespace prefer::test
