// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/scalar/probe.hpp>

// fmt: losses with their parameters, sets of columns, and summaries of evaluations. All take the width, fill and
// alignment that a string takes.
//
//   fmt::print("{}: {}\n", loss, evaluate(loss, batch));
//   0.8 * dpo{beta=0.1, label_smoothing=0} + nll{}: pair_evaluation{loss=0.6931471805599453, pairs=64}

namespace prefer::inline v0_1::detail {

template <class L>
void write_loss(fmt::memory_buffer& out, scaled_loss<L> const& loss);
template <class A, class B>
void write_loss(fmt::memory_buffer& out, sum_of_losses<A, B> const& loss);

/// `wpo{dpo{beta=0.1, label_smoothing=0}, largest_weight=1}`
template <class L>
void write_loss(fmt::memory_buffer& out, L const& loss) {
  if constexpr (requires { L::name; }) {
    fmt::format_to(std::back_inserter(out), "{}", L::name);
  } else {
    fmt::format_to(std::back_inserter(out), "{}",
                   L::arity == 2   ? "pair_loss"
                   : L::arity == 1 ? "unpaired_loss"
                                   : "list_loss");
  }
  out.push_back('{');
  char const* between = "";
  for_each_part(loss, [&](auto, auto const& part) {
    fmt::format_to(std::back_inserter(out), "{}", between);
    write_loss(out, part);
    between = ", ";
  });
  if constexpr (requires { L::hyper_parameters(loss, [](char const*, auto const&) {}); }) {
    L::hyper_parameters(loss, [&](char const* name, auto const& value) {
      fmt::format_to(std::back_inserter(out), "{}{}={}", between, name, static_cast<double>(value));
      between = ", ";
    });
  }
  out.push_back('}');
}
template <class L>
void write_loss(fmt::memory_buffer& out, scaled_loss<L> const& loss) {
  fmt::format_to(std::back_inserter(out), "{} * ", loss.weight);
  write_loss(out, loss.loss);
}
template <class A, class B>
void write_loss(fmt::memory_buffer& out, scaled_loss<sum_of_losses<A, B>> const& loss) {
  fmt::format_to(std::back_inserter(out), "{} * (", loss.weight);
  write_loss(out, loss.loss);
  out.push_back(')');
}
template <class A, class B>
void write_loss(fmt::memory_buffer& out, sum_of_losses<A, B> const& loss) {
  write_loss(out, loss.first);
  out.append(std::string_view(" + "));
  write_loss(out, loss.second);
}

/// A NaN or an infinity among the values is worth a word in one line of a log.
inline void write_summary(fmt::memory_buffer& out, char const* name, double loss, char const* unit,
                          std::vector<double> const& values) {
  std::size_t not_finite = 0;
  for (double const v : values) not_finite += std::isfinite(v) ? 0 : 1;
  fmt::format_to(std::back_inserter(out), "{}{{loss={}, {}={}", name, loss, unit, values.size());
  if (not_finite > 0) fmt::format_to(std::back_inserter(out), ", not_finite={}", not_finite);
  out.push_back('}');
}

/// Formats through `write`, as a string.
template <class T>
struct written_formatter : fmt::formatter<std::string_view> {
  template <class Context>
  auto format_written(fmt::memory_buffer const& text, Context& context) const {
    return fmt::formatter<std::string_view>::format(std::string_view(text.data(), text.size()),
                                                    context);
  }
};

}  // namespace prefer::inline v0_1::detail

/// `dpo{beta=0.1, label_smoothing=0}`; sums and multiples as formulas; a lambda's loss without its formula.
template <prefer::Loss L>
struct fmt::formatter<L, char> : prefer::detail::written_formatter<L> {
  template <class Context>
  auto format(L const& loss, Context& context) const {
    memory_buffer text;
    prefer::detail::write_loss(text, loss);
    return this->format_written(text, context);
  }
};

/// `{policy, reference}`
template <>
struct fmt::formatter<prefer::column_set, char>
    : prefer::detail::written_formatter<prefer::column_set> {
  template <class Context>
  auto format(prefer::column_set set, Context& context) const {
    memory_buffer text;
    fmt::format_to(std::back_inserter(text), "{{{}}}", to_string(set));
    return this->format_written(text, context);
  }
};
template <>
struct fmt::formatter<prefer::column_name, char> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(prefer::column_name name, Context& context) const {
    return fmt::formatter<std::string_view>::format(to_string(prefer::column_set(name)), context);
  }
};

/// `pair_evaluation{loss=0.6931471805599453, pairs=64}`, and how many values are not finite, if any are.
template <>
struct fmt::formatter<prefer::pair_evaluation, char>
    : prefer::detail::written_formatter<prefer::pair_evaluation> {
  template <class Context>
  auto format(prefer::pair_evaluation const& result, Context& context) const {
    memory_buffer text;
    prefer::detail::write_summary(text, "pair_evaluation", result.loss, "pairs", result.value);
    return this->format_written(text, context);
  }
};

/// The same for labelled completions and lists.
template <>
struct fmt::formatter<prefer::evaluation, char>
    : prefer::detail::written_formatter<prefer::evaluation> {
  template <class Context>
  auto format(prefer::evaluation const& result, Context& context) const {
    memory_buffer text;
    prefer::detail::write_summary(text, "evaluation", result.loss, "examples", result.value);
    return this->format_written(text, context);
  }
};
