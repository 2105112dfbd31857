// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/evaluate.hpp>

// Losses over lists on the host, in a .cu and without a macro: all compile, and one is checked, which nobody prefers
// anything by: of n equal scores each order has the probability 1 / n!.

struct sum_of_list_losses {
  double* sum;

  template <prefer::Loss L>
  void operator()(L const& loss, prefer::loss_info const&) const {
    if constexpr (L::arity == prefer::dynamic_arity) {
      std::size_t const length = prefer::list_size_of<L>() == 0 ? 2 : prefer::list_size_of<L>();
      std::vector<double> const policy(length, -3.0), reference(length, -4.0), tokens(length, 5.0);
      std::vector<double> score(length);
      for (std::size_t i = 0; i < length; ++i) score[i] = static_cast<double>(length - i);
      std::vector<std::size_t> const offset = {0, length};
      prefer::list_columns const list{.policy = policy,
                                      .reference = reference,
                                      .length = tokens,
                                      .score = score,
                                      .offset = offset};
      *sum += evaluate(loss, list).loss;
    }
  }
};

int main() {
  // Lists of 2, and one that is longer than what the stack has lanes for.
  std::vector<double> const policy(102, -3.0), reference(102, -4.0);
  std::vector<std::size_t> const offset = {0, 2, 102};
  auto const result =
      evaluate(prefer::plackett_luce{},
               prefer::list_columns{.policy = policy, .reference = reference, .offset = offset});
  double const wanted = 0.5 * (std::log(2.0) + std::lgamma(101.0));
  double sum = 0.0;
  prefer::for_each_loss(sum_of_list_losses{&sum});
  bool const all = std::isfinite(sum);
  bool const right = std::fabs(result.loss - wanted) < 1e-12 * wanted;
  std::printf("%.17g, expected %.17g; all others are %s\n", result.loss, wanted,
              all ? "finite" : "not finite");
  return right && all ? 0 : 1;
}
