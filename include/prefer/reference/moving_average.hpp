// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// Exponential moving average: the reference follows the policy a little after every step.
///
///   reference = (1 - rate) * reference + rate * policy
///
/// Holds the policy near where it was some 1 / rate steps ago; nothing bounds the distance to the start.
struct ema {
  static constexpr char const* name = "ema";
  static constexpr bool every_step = true;

  share rate = 0.01;  ///< of the policy

  [[nodiscard]] constexpr bool due(std::uint64_t /*step*/) const { return true; }
  [[nodiscard]] constexpr double weight(std::uint64_t /*step*/) const { return rate; }
  void check() const { expects_in_range(rate, "ema", "rate"); }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("rate", self.rate); }
};

/// Trust Region DPO: the reference takes over the policy, in part (soft) or whole (hard), now and then.
///
///   reference = (1 - alpha) * reference + alpha * policy,  every `every` steps,  hard: alpha = 1
///
/// After a hard update all log-ratios are 0, so DPO's loss is ln 2 again.
///
/// Source  Gorbatovski et al. 2024, arXiv:2404.09656
/// TRL     sync_ref_model with ref_model_mixup_alpha = 0.6 and ref_model_sync_steps = 512, the defaults here.
///         It refuses adapters there; here whatever trains is averaged, an adapter as well.
struct tr_dpo {
  static constexpr char const* name = "tr_dpo";

  share alpha = 0.6;          ///< of the policy
  std::uint64_t every = 512;  ///< steps

  [[nodiscard]] constexpr bool due(std::uint64_t step) const { return step % every == 0; }
  [[nodiscard]] constexpr double weight(std::uint64_t /*step*/) const { return alpha; }
  void check() const {
    expects_in_range(alpha, "tr_dpo", "alpha");
    expects(every > 0, "tr_dpo: every must be at least 1");
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("alpha", self.alpha);
    visit("every", self.every);
  }
};

/// Bias-corrected exponential moving average.
///
///   at step t = begin + every, begin + 2 every, ...
///     average   = (1 - w_t) * average + w_t * policy,  w_t = max((lag + multiplier t)^-ema_power, min_weight)
///     reference = average + a_t * (policy - start),    a_t = (lag + multiplier t)^-bias_power
///
/// `average` and `start` are the policy at step `begin`; with begin = 0, what the reference was made of.
/// Between updates, and until the first, the reference stays as it is. It is no convex combination: with a
/// policy that moves straight on it may be ahead of the average, and with bias_power = 0 ahead of the policy.
///
/// Errors  lag + multiplier t below 1 at the first update, where a weight would exceed 1, is refused
/// Source  Block and Zhang 2025, arXiv:2508.00180
/// TRL     BEMACallback with update_freq, ema_power, bias_power, lag, multiplier, min_ema_multiplier and
///         update_after, whose defaults are these, and its DPOTrainer's update_ref_model with a
///         ref_model_update_freq equal to update_freq. t counts optimizer steps there and here. TRL's callback
///         stops at a model with frozen parameters; here they are passed over.
struct bema {
  static constexpr char const* name = "bema";

  std::uint64_t every = 400;      ///< steps; the paper's phi
  non_negative ema_power = 0.5;   ///< kappa
  non_negative bias_power = 0.2;  ///< eta
  non_negative lag = 10.0;        ///< rho
  non_negative multiplier = 1.0;  ///< gamma
  fraction min_weight = 0.0;
  std::uint64_t begin = 0;  ///< step; tau

  [[nodiscard]] constexpr bool due(std::uint64_t step) const {
    return step > begin && (step - begin) % every == 0;
  }
  [[nodiscard]] double weight(std::uint64_t step) const {
    double const decayed = std::pow(age(step), -ema_power);
    double const least = min_weight;
    return decayed > least ? decayed : least;
  }
  [[nodiscard]] double correction(std::uint64_t step) const {
    return std::pow(age(step), -bias_power);
  }
  [[nodiscard]] constexpr bool starts(std::uint64_t step) const { return step == begin; }

  void check() const {
    expects(every > 0, "bema: every must be at least 1");
    hyper_parameters(*this, [](char const* parameter, auto const& value) {
      expects_in_range(value, name, parameter);
    });
    expects(age(begin + every) >= 1.0,
            "bema: lag + multiplier * step must be at least 1 at the first update");
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("every", self.every);
    visit("ema_power", self.ema_power);
    visit("bias_power", self.bias_power);
    visit("lag", self.lag);
    visit("multiplier", self.multiplier);
    visit("min_weight", self.min_weight);
    visit("begin", self.begin);
  }

 private:
  [[nodiscard]] double age(std::uint64_t step) const {
    return lag + multiplier * static_cast<double>(step);
  }
};

/// When a moving average takes the policy in, and with which weight.
///
/// Asked for   `name`; `due(step)`, `weight(step)` in [0, 1], steps counted from 1; `check()`, which refuses
///             what makes no sense; `hyper_parameters(self, visit)`, what a checkpoint compares
/// Optional    `correction(step)` and `starts(step)`, as bema has them
///             `every_step`: it is due after every step
template <class Rule>
concept AveragingRule = requires(Rule const& rule, std::uint64_t step) {
  { Rule::name } -> std::convertible_to<char const*>;
  { rule.due(step) } -> std::convertible_to<bool>;
  { rule.weight(step) } -> std::convertible_to<double>;
  rule.check();
};

/// A reference that follows the policy: a copy of it whose trained parameters average those of the policy.
///
///   prefer::moving_average reference(policy, prefer::tr_dpo{.alpha = 0.6, .every = 512});
///   prefer::trainer run(policy, loss, reference, data);  // calls after_step
///
/// Rules are ema, tr_dpo (soft and hard) and bema. What is frozen in the policy is neither averaged nor saved:
/// with an adapter over a frozen base, the adapter moves and the base may even be shared memory. Sums are in
/// double, what is kept is in the policy's own type. A checkpoint of the trainer holds the averages.
///
/// It cannot be cached ahead of time. Between updates it is constant, so cached_on_demand may wrap it, except
/// with ema.
///
/// Errors  precondition_error for a policy of other parameters, or one that shares what it trains with the
///         reference; backend_error from a checkpoint of another rule
template <class P, AveragingRule Rule>
class moving_average {
 public:
  using value_type = typename P::value_type;
  using parameter_type = parameter_type_t<P>;
  static constexpr bool moves = true;
  static constexpr bool moves_every_step = requires { requires Rule::every_step; };

  moving_average(P start, Rule rule) : copy_(std::move(start)), rule_(rule) {
    rule_.check();
    std::vector<parameter<parameter_type>> const ours = copy_.parameters();
    fingerprint identity;
    identity.add("moving average").add(Rule::name).add(identity_of_base(copy_));
    Rule::hyper_parameters(rule_, [&](char const* name, auto const& value) {
      identity.add(name).add(static_cast<double>(value));
    });
    for (auto const& each : ours) {
      identity.add(each.name).add(each.shape.sizes());
      identity.add(static_cast<std::uint64_t>(each.value.size()));
      averaged_.push_back(each.frozen ? 0 : 1);
    }
    identity_ = identity.value();
    average_.resize(corrects ? ours.size() : 0);
    start_.resize(corrects ? ours.size() : 0);
  }

  template <class B>
  void log_prob(B const& batch, std::span<value_type> out) {
    copy_.log_prob(batch, out);
  }
  template <class B>
  void logit(B const& batch, std::span<value_type> out)
    requires requires(P& p) { p.logit(batch, out); }
  {
    copy_.logit(batch, out);
  }
  template <class B>
  void token_offsets(B const& batch, std::vector<std::size_t>& out)
    requires requires(P& p) { p.token_offsets(batch, out); }
  {
    copy_.token_offsets(batch, out);
  }
  template <class B>
  void token_log_prob(B const& batch, std::span<value_type> out)
    requires requires(P& p) { p.token_log_prob(batch, out); }
  {
    copy_.token_log_prob(batch, out);
  }
  void use(executor threads) {
    threads_ = threads;
    if constexpr (requires { copy_.use(threads); }) copy_.use(threads);
  }

  void after_step(P& policy, std::uint64_t step) {
    std::vector<parameter<parameter_type>> const theirs = policy.parameters();
    std::vector<parameter<parameter_type>> const ours = copy_.parameters();
    expect_same_parameters(theirs, ours);
    bool const due = rule_.due(step);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (theirs[i].frozen) continue;
      averaged_[i] = 1;
      if constexpr (corrects) {
        if (rule_.starts(step)) {
          start_[i].assign(theirs[i].value.begin(), theirs[i].value.end());
          average_[i] = start_[i];
        }
        if (!due) continue;
        if (start_[i].empty()) {
          start_[i].assign(ours[i].value.begin(), ours[i].value.end());
          average_[i] = start_[i];
        }
        average(average_[i], theirs[i].value, rule_.weight(step));
        correct(i, theirs[i].value, ours[i].value, rule_.correction(step));
      } else {
        if (due) average(ours[i].value, theirs[i].value, rule_.weight(step));
      }
    }
    if (!due) return;
    moved();
    ++version_;
  }

  /// Grows whenever the numbers may have changed.
  [[nodiscard]] std::uint64_t version() const { return version_; }

  void save(archive_writer& file, std::string const& prefix = "reference/") {
    file.add(prefix + "identity", identity_);
    std::vector<parameter<parameter_type>> const ours = copy_.parameters();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (averaged_[i] == 0) continue;
      std::string const name(ours[i].name);
      file.add(prefix + "value/" + name, ours[i].value);
      if constexpr (corrects) {
        file.add(prefix + "average/" + name, average_[i]);
        file.add(prefix + "start/" + name, start_[i]);
      }
    }
  }

  /// Errors  backend_error for a checkpoint of another rule or policy; nothing changes then
  void load(archive const& file, std::string const& prefix = "reference/") {
    if (file.number<std::uint64_t>(prefix + "identity") != identity_) {
      detail::fail(backend_error("moving_average::load", file.path(),
                                 "this checkpoint holds a reference with another averaging rule, "
                                 "other numbers in it, or other parameters"));
    }
    std::vector<parameter<parameter_type>> const ours = copy_.parameters();
    std::vector<unsigned char> averaged = averaged_;
    std::vector<std::vector<parameter_type>> values(ours.size());
    std::vector<std::vector<parameter_type>> averages(average_.size());
    std::vector<std::vector<parameter_type>> starts(start_.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      std::string const name(ours[i].name);
      if (averaged[i] == 0 && !file.contains(prefix + "value/" + name)) continue;
      averaged[i] = 1;
      values[i].resize(ours[i].value.size());
      file.copy_to(prefix + "value/" + name, std::span<parameter_type>(values[i]));
      if constexpr (corrects) {
        averages[i] = read_part(file, prefix + "average/" + name, ours[i].value.size());
        starts[i] = read_part(file, prefix + "start/" + name, averages[i].size());
      }
    }
    for (std::size_t i = 0; i < ours.size(); ++i) {
      for (std::size_t k = 0; k < values[i].size(); ++k) ours[i].value[k] = values[i][k];
    }
    averaged_.swap(averaged);
    average_.swap(averages);
    start_.swap(starts);
    moved();
    ++version_;
  }

  /// Stands for the rule, its numbers, the policy's base, and names, shapes and sizes of the parameters. Not for their
  /// values, which a checkpoint holds.
  [[nodiscard]] std::uint64_t identity() const { return identity_; }

  [[nodiscard]] P const& policy() const { return copy_; }
  [[nodiscard]] Rule const& rule() const { return rule_; }

 private:
  static constexpr bool corrects = requires(Rule const& rule) { rule.correction(1); };
  static constexpr std::size_t block_size = 8192;

  void moved() {
    if constexpr (requires { copy_.parameters_moved(); }) copy_.parameters_moved();
  }

  static void expect_same_parameters(std::span<parameter<parameter_type> const> theirs,
                                     std::span<parameter<parameter_type> const> ours) {
    expects_size(theirs.size(), ours.size(), "moving_average::after_step", "parameters");
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (theirs[i].name != ours[i].name || theirs[i].value.size() != ours[i].value.size()) {
        detail::broken("moving_average::after_step: parameter " + std::to_string(i) +
                       " of the policy is '" + std::string(theirs[i].name) + "' with " +
                       std::to_string(theirs[i].value.size()) + " elements, expected '" +
                       std::string(ours[i].name) + "' with " +
                       std::to_string(ours[i].value.size()));
      }
      if (!theirs[i].frozen && !ours[i].value.empty() &&
          theirs[i].value.data() == ours[i].value.data()) {
        detail::broken("moving_average::after_step: parameter '" + std::string(ours[i].name) +
                       "' of the reference is the policy's own memory; a copy of a policy has its "
                       "own of what trains");
      }
    }
  }

  void average(std::span<parameter_type> to, std::span<parameter_type const> policy,
               double weight) const {
    threads_.for_each_block(to.size(), block_size, [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k != end; ++k) {
        // A weight of 1 copies: 0 times an infinity would be NaN.
        to[k] = weight == 1.0 ? policy[k]
                              : static_cast<parameter_type>((1.0 - weight) * double{to[k]} +
                                                            weight * double{policy[k]});
      }
    });
  }
  void correct(std::size_t i, std::span<parameter_type const> policy, std::span<parameter_type> to,
               double weight) const {
    threads_.for_each_block(to.size(), block_size, [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k != end; ++k) {
        to[k] = static_cast<parameter_type>(double{average_[i][k]} +
                                            weight * (double{policy[k]} - double{start_[i][k]}));
      }
    });
  }

  // Empty, or of this size.
  static std::vector<parameter_type> read_part(archive const& file, std::string const& name,
                                               std::size_t size) {
    auto part = file.template get<parameter_type>(name);
    if (part.size() != 0 && part.size() != size) {
      detail::fail(backend_error("moving_average::load", file.path(),
                                 "entry '" + name + "' has " + std::to_string(part.size()) +
                                     " elements, expected " + std::to_string(size)));
    }
    return part;
  }

  P copy_;
  Rule rule_;
  executor threads_;
  std::uint64_t identity_ = 0;
  std::uint64_t version_ = 0;
  std::vector<unsigned char> averaged_;  // per parameter: it trains, or has trained
  std::vector<std::vector<parameter_type>>
      average_;  // bema: per parameter, empty before its first use
  std::vector<std::vector<parameter_type>> start_;
};

}  // namespace prefer::inline v0_1
