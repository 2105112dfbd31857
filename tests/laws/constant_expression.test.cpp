// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/loss_pass.hpp>

#include "support/example_record.hpp"
#include "support/near.hpp"

// Every formula is constexpr in all that it calls. A compiler for devices drops a call from a constexpr template to a
// function that is not constexpr without a word, and its kernels then store what happens to be in a register.

namespace {

using namespace prefer::test;

/// With its defaults, but for diffusion_dpo: beta 5000 is for squared noise, and exp(-5000 * nats / 2) overflows, which no
/// constant expression may.
template <prefer::Loss L>
constexpr L constant_loss() {
  L loss{};
  if constexpr (std::is_same_v<L, prefer::diffusion_dpo>) loss.beta = 0.1;
  return loss;
}

/// Three completions, or as many as the loss takes.
struct completion_of_example {
  constexpr prefer::completion_record<double> operator()(std::size_t i) const {
    double const x = static_cast<double>(i);
    return {.log_prob = -3.0 - x,
            .reference_log_prob = -4.0,
            .completion_length = 2.0 + x,
            .score = 3.0 - x};
  }
};

/// The derivatives of a list by the pass that backends run: a loss's own rule, where it has one, is code for devices too.
template <prefer::ListLoss L>
constexpr std::array<double, 8> derivatives_of_list(L const& loss) {
  using pass = prefer::detail::list_pass<L>;
  std::size_t const size = prefer::list_size_of<L>() == 0 ? 3 : prefer::list_size_of<L>();
  std::array<double, 8> out{};
  std::array<double, 8 * (pass::room + 1)> room{};
  prefer::list_record<double, completion_of_example> const list(size, {});
  out[7] =
      pass{loss, {}, 1.0}(list, 1.0, std::span<double>(out).first(size), std::span<double>(room));
  return out;
}

TEST_CASE(
    "laws: every loss over lists is a constant expression, its own rule for derivatives included",
    "[laws][loss]") {
  std::size_t losses = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, auto const&) {
    if constexpr (prefer::ListLoss<L>) {
      INFO("loss " << L::name);
      ++losses;
#if defined(__GNUC__) && !defined(__clang__)
      constexpr auto constant = derivatives_of_list(constant_loss<L>());
#else
      auto const constant = derivatives_of_list(constant_loss<L>());
#endif
      auto const at_run_time = derivatives_of_list(constant_loss<L>());
      for (std::size_t i = 0; i < constant.size(); ++i) {
        CHECK(near(constant[i], at_run_time[i], 1e-12, 1.0));
      }
    }
  });
  CHECK(losses > 8);
}

TEST_CASE("laws: every formula is a constant expression, with the value that it has at run time",
          "[laws][loss]") {
  std::size_t losses = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, auto const&) {
    INFO("loss " << L::name);
    ++losses;
#if defined(__GNUC__) && !defined(__clang__)
    constexpr auto constant = derivatives_on_example<float>(constant_loss<L>());
#else
    // This compiler's exp and log are no constant expressions; g++'s are.
    auto const constant = derivatives_on_example<float>(constant_loss<L>());
#endif
    auto const exact = derivatives_on_example<double>(constant_loss<L>());
    // The largest terms of any formula here are squares of targets of 5 nats and slopes of 15 per nat (dpop), ten
    // roundings of 2^-24 each.
    double const bound = 10 * 0x1p-24 * 150.0;
    CHECK(near(constant.value, exact.value, bound, 1.0));
    for (std::size_t i = 0; i < example_partials<L>; ++i) {
      CAPTURE(i);
      CHECK(near(constant.partial[i], exact.partial[i], bound, 1.0));
    }
  });
  CHECK(losses > 60);
}

}  // namespace
