// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/aggregation/sampled_tokens.hpp>
#include <prefer/aggregation/step_mask.hpp>
#include <prefer/aggregation/sum_tokens.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/denoiser.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/cached_on_demand.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/mixture.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/per_prompt.hpp>
#include <prefer/reference/unconditional.hpp>
#include <prefer/reference/without_adapter.hpp>

#include <train/adapter_policy.hpp>
#include <train/small_problem.hpp>

/// Every policy and every reference that the library ships, as it is and with each of its settings changed.
namespace identity {

using table = prefer::tabular<double>;
template <class S>
using maker = std::function<S()>;

/// One subject: what makes it, and what makes others of its type, each of which says other numbers.
template <class S>
struct subject {
  std::string name;
  maker<S> make;
  std::vector<std::pair<std::string, maker<S>>> others;
};

inline std::vector<double> numbers(std::size_t count) { return small::values<double>(count); }
inline std::vector<double> one_changed(std::size_t count) {
  auto out = numbers(count);
  out[count / 2] = std::nextafter(out[count / 2], 1.0);
  return out;
}

// Texts that outlive the policies over them.
inline prefer::token_table const& texts(bool other = false) {
  static auto const table_of = [](std::uint32_t last) {
    prefer::token_table out;
    for (std::uint32_t i = 0; i != 4; ++i) out.add(std::vector<std::uint32_t>{i, 2, 1});
    out.add(std::vector<std::uint32_t>{last});
    return out;
  };
  static prefer::token_table const these = table_of(0);
  static prefer::token_table const those = table_of(3);
  return other ? those : these;
}
inline prefer::bigram<double> language_model(bool other = false) {
  return {6, texts(other), numbers(36)};
}

template <class A>
auto weighed(A const& aggregation, bool other_texts = false) {
  return prefer::aggregated(language_model(other_texts), aggregation);
}
/// A policy whose tokens are weighed: with other weights, and over other texts.
template <class A>
auto aggregation(std::string const& name, A const& one,
                 std::vector<std::pair<std::string, A>> const& others) {
  using policy = decltype(weighed(one));
  subject<policy> out{name, [=] { return weighed(one); }, {}};
  for (auto const& [what, other] : others) {
    out.others.push_back({what, [other = other] { return weighed(other); }});
  }
  out.others.push_back({"texts", [=] { return weighed(one, true); }});
  return out;
}

inline prefer::denoiser<double> points(prefer::denoiser_options const& options,
                                       std::vector<double> const& at = numbers(10),
                                       std::size_t dimensions = 2, std::size_t prompts = 6) {
  return {prompts, dimensions, at, options};
}

inline std::vector<prefer::token_range> steps(std::size_t end) {
  return {{0, 1}, {0, 1}, {0, 1}, {0, end}, {0, 1}};
}

/// Calls `visit(subject)` for every policy.
void for_each_policy(auto&& visit) {
  using namespace prefer;
  visit(subject<table>{
      "tabular",
      [] { return table(6, 5, numbers(30)); },
      {{"shape", [] { return table(5, 6, numbers(30)); }}},
  });

  using linear = log_linear<double>;
  visit(subject<linear>{
      "log_linear",
      [] { return linear(6, 5, 2, numbers(60)); },
      {{"a feature", [] { return linear(6, 5, 2, one_changed(60)); }},
       {"prompts", [] { return linear(3, 10, 2, numbers(60)); }},
       {"features of each", [] { return linear(6, 2, 5, numbers(60)); }}},
  });

  using factors = matrix_factorization<double>;
  visit(subject<factors>{
      "matrix_factorization",
      [] { return factors(6, 5, 3); },
      {{"factors", [] { return factors(6, 5, 2); }}, {"users", [] { return factors(9, 5, 2); }}},
  });

  visit(subject<bigram<double>>{
      "bigram",
      [] { return language_model(); },
      {{"texts", [] { return language_model(true); }},
       {"vocabulary", [] { return bigram<double>(7, texts(), numbers(49)); }}},
  });

  denoiser_options const one{.hidden = 3, .steps = 4};
  // One more option does not compile here before it is among the changes.
  [[maybe_unused]] auto const [hidden, noise_steps, noise_samples, seed, lowest, highest] = one;
  auto const with = [=](auto change) {
    return [=] {
      denoiser_options other = one;
      change(other);
      return points(other);
    };
  };
  visit(subject<denoiser<double>>{
      "denoiser",
      [one] { return points(one); },
      {{"hidden", with([](denoiser_options& o) { ++o.hidden; })},
       {"steps", with([](denoiser_options& o) { ++o.steps; })},
       {"noise_samples", with([](denoiser_options& o) { ++o.noise_samples; })},
       {"seed", with([](denoiser_options& o) { ++o.seed; })},
       {"lowest_rate", with([](denoiser_options& o) { o.lowest_rate = 0.2; })},
       {"highest_rate", with([](denoiser_options& o) { o.highest_rate = 19; })},
       {"a point", [one] { return points(one, one_changed(10)); }},
       {"dimensions", [one] { return points(one, numbers(10), 1); }},
       {"prompts", [one] { return points(one, numbers(10), 2, 7); }}},
  });

  visit(aggregation<sum_tokens>("sum_tokens", {}, {}));
  visit(aggregation<mean_tokens>("mean_tokens", {}, {}));
  auto const [alpha] = ld_dpo_weights{.alpha = 0.5};
  visit(aggregation<ld_dpo_weights>("ld_dpo_weights", {alpha}, {{"alpha", {alpha / 2}}}));
  auto const [drawn] = sampled_tokens{};
  visit(aggregation<sampled_tokens>("sampled_tokens", {drawn}, {{"seed", {drawn + 1}}}));
  visit(
      aggregation<step_mask>("step_mask", step_mask(steps(2)), {{"a step", step_mask(steps(3))}}));
}

inline table start() { return small::policy<table>(); }
inline table moved() { return {6, 5, one_changed(30)}; }
inline prefer::choice_data const& data(bool other = false) {
  static prefer::choice_data const these = small::pairs(8);
  static prefer::choice_data const those = [] {
    auto out = small::pairs(8);
    std::swap(out.completion[0], out.completion[1]);
    return out;
  }();
  return other ? those : these;
}

/// A reference that follows the policy: with each number of its rule changed, and over another base.
template <class Rule>
auto follower(std::string const& name, Rule const& rule) {
  using average = prefer::moving_average<table, Rule>;
  subject<average> out{name, [=] { return average(start(), rule); }, {}};
  std::size_t count = 0;
  Rule::hyper_parameters(rule, [&](char const* parameter, auto const&) {
    std::size_t const which = count++;
    out.others.push_back({parameter, [=] {
                            Rule other = rule;
                            std::size_t k = 0;
                            Rule::hyper_parameters(other, [&]<class N>(char const*, N& value) {
                              if (k++ == which) {
                                value = static_cast<N>(
                                    std::is_integral_v<N> ? static_cast<double>(value) + 1.0
                                                          : static_cast<double>(value) / 2 + 0.125);
                              }
                            });
                            return average(start(), other);
                          }});
  });
  return out;
}

template <class M>
auto mixed(std::string const& name) {
  using prefer::frozen;
  auto const of = [](double weight, table const& one, table const& two) {
    return [=] { return M({weight, 1.0 - weight}, frozen(one), frozen(two)); };
  };
  table const third(6, 5);
  return subject<M>{
      name,
      of(0.75, start(), third),
      {{"weights", of(0.5, start(), third)},
       {"order", of(0.75, third, start())},
       {"a number of a part", of(0.75, moved(), third)}},
  };
}

/// Calls `visit(subject)` for every reference; where the type is frozen<P>, for every policy P.
void for_each_reference(auto&& visit) {
  using namespace prefer;
  visit(subject<no_reference<double>>{"none", [] { return no_reference<double>(); }, {}});
  visit(subject<table>{"a policy", [] { return start(); }, {{"a number", [] { return moved(); }}}});
  using still = frozen<table>;
  visit(subject<still>{
      "frozen",
      [] { return still(start()); },
      {{"a number", [] { return still(moved()); }}},
  });

  using cache = cached<double>;
  auto const of = [](table policy, bool other = false) { return cache::of(policy, data(other)); };
  visit(subject<cache>{
      "cached",
      [=] { return of(start()); },
      {{"a number", [=] { return of(moved()); }},
       {"data", [=] { return of(start(), true); }},
       {"by a number",
        [] {
          auto policy = start();
          return cache::of(policy, data(), 7);
        }}},
  });
  auto const given = [](double first, std::uint64_t name, bool other = false) {
    std::vector<double> said(16, -1.0);
    said[0] = first;
    return cache::given(said, data(other), name);
  };
  visit(subject<cache>{
      "cached, given",
      [=] { return given(-1.0, 7); },
      {{"a number", [=] { return given(-1.5, 7); }},
       {"name", [=] { return given(-1.0, 8); }},
       {"data", [=] { return given(-1.0, 7, true); }}},
  });
  using on_demand = cached_on_demand<unconditional<still>>;
  auto const asked = [](table const& policy, std::uint32_t prompt) {
    return on_demand(unconditional(still(policy), prompt), data());
  };
  visit(subject<on_demand>{
      "cached_on_demand",
      [=] { return asked(start(), 4); },
      {{"a number", [=] { return asked(moved(), 4); }},
       {"prompt", [=] { return asked(start(), 5); }}},
  });

  visit(follower("ema", ema{}));
  visit(follower("tr_dpo", tr_dpo{}));
  visit(follower("bema", bema{}));
  using over_features = moving_average<log_linear<double>, ema>;
  visit(subject<over_features>{
      "ema of log_linear",
      [] {
        return over_features({6, 5, 2, numbers(60)}, {});
      },
      {{"a feature",
        [] {
          return over_features({6, 5, 2, one_changed(60)}, {});
        }}},
  });

  visit(mixed<mixture<still, still>>("mixture"));
  visit(mixed<geometric_mixture<still, still>>("geometric_mixture"));
  using domains = per_prompt<still, still>;
  auto const dispatched = [](std::uint32_t last, table const& policy) {
    return domains({0, 1, 0, 1, 0, last}, still(policy), still(table(6, 5)));
  };
  visit(subject<domains>{
      "per_prompt",
      [=] { return dispatched(1, start()); },
      {{"which", [=] { return dispatched(0, start()); }},
       {"a number of a part", [=] { return dispatched(1, moved()); }}},
  });
  using prior = unconditional<still>;
  visit(subject<prior>{
      "unconditional",
      [] { return prior(still(start()), 2); },
      {{"prompt", [] { return prior(still(start()), 3); }},
       {"a number", [] { return prior(still(moved()), 2); }}},
  });
}

}  // namespace identity
