// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/model/feature_rows.hpp>
#include <prefer/lm/model/learnt_batch.hpp>
#include <prefer/lm/model/llama_base.hpp>
#include <prefer/lm/model/llama_head.hpp>
#include <prefer/lm/model/llama_options.hpp>
#include <prefer/lm/model/llama_pass.hpp>
#include <prefer/lm/model/llama_reference.hpp>
#include <prefer/lm/model/llama_sampling.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/lm/model/row_layout.hpp>
#include <prefer/lm/model/trained_weights.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1::lm {

/// A language model of the Llama family as a policy over prompts and completions of tokens.
///
///   auto const base = prefer::lm::open_base<float>("model.gguf");
///   prefer::lm::llama<float> policy(base, texts, prefer::lm::lora_options{.rank = 16});
///   prefer::without_adapter reference(policy);
///   prefer::trainer training(policy, prefer::dpo{}, reference, data, {.reference_is_start = true});
///
/// With an adapter the base is shared by all that hold it, and a copy of the policy copies the adapter alone; with
/// full_fine_tuning the policy has all weights for itself, and does not hold the base. With neither, nothing trains: a
/// reference. The texts behind the numbers of prompts and completions outlive the policy and may grow meanwhile.
///
/// What a batch is computed as says row_layout: nothing for padding, nothing twice that completions of one group begin
/// with alike, and no logits but of what is scored. `evaluate` keeps what `backward` reads; `log_prob` and
/// `token_log_prob` keep nothing, take little memory for any number of rows, and a `backward` after them computes the
/// forward pass again. Dropout of an adapter is part of `evaluate` alone.
///
/// It is a StepBackbone too, so that a scalar_head on it is a reward model and a value model: the features of a completion are
/// the hidden state of its last token, behind the last norm, those of a step the state from which its token is scored, or
/// behind the end the last token's; nothing of the output layer is computed.
///
///   prefer::scalar_head reward(prefer::lm::llama<float>(base, texts, prefer::lm::lora_options{.rank = 16}));
///
/// Bits    of a completion's numbers do not depend on what else is in the batch; gradients do not depend on how a batch
///         is cut into micro-batches; neither depends on threads
/// Errors  precondition_error as row_layout and lora_adapter say, for columns of another size than the batch, and for
///         what needs an adapter where there is none
template <std::floating_point T>
class llama {
 public:
  using value_type = T;

  /// The base as it is.
  llama(std::shared_ptr<llama_base<T> const> base, token_sequences const& texts,
        llama_options<T> const& options = {})
      : llama(*base, texts, options) {
    base_ = std::move(base);
  }
  llama(std::shared_ptr<llama_base<T> const> base, token_sequences const& texts,
        lora_options const& adapter, llama_options<T> const& options = {})
      : llama(*base, texts, options) {
    adapter_.emplace(base->config(), adapter);
    base_ = std::move(base);
  }
  llama(llama_base<T> const& start, token_sequences const& texts, full_fine_tuning,
        llama_options<T> const& options = {})
      : llama(start, texts, options) {
    expects(options.by.weights == compute_type::full,
            "llama: products in bf16 are for weights that do not train, and here all do");
    trained_.emplace(start.weights());
    embedding_gradient_.emplace(start.config().vocabulary, start.config().width);
  }
  llama(std::shared_ptr<llama_base<T> const> const&, token_sequences const&&,
        auto const&...) = delete;
  llama(llama_base<T> const&, token_sequences const&&, auto const&...) = delete;

  /// What trains is copied; working memory is not.
  llama(llama const& other)
      : config_(other.config_),
        texts_(other.texts_),
        options_(other.options_),
        base_(other.base_),
        adapter_(other.adapter_),
        trained_(other.trained_),
        pass_(config_) {
    if (trained_) embedding_gradient_.emplace(config_.vocabulary, config_.width);
  }
  llama(llama&&) noexcept = default;
  llama& operator=(llama const&) = delete;
  llama& operator=(llama&&) noexcept = default;
  ~llama() = default;

  [[nodiscard]] llama_config const& config() const { return config_; }
  [[nodiscard]] token_sequences const& texts() const { return *texts_; }
  [[nodiscard]] bool has_adapter() const { return adapter_.has_value(); }
  /// What a pass computes with now, for references and for whoever samples.
  [[nodiscard]] llama_view<T> view() const {
    return {.weights = trained_ ? &trained_->weights() : &base_->weights(),
            .adapter = adapter_ ? &*adapter_ : nullptr};
  }
  [[nodiscard]] llama_view<T> view_without_adapter() const {
    expects(has_adapter(), "llama: it has no adapter that could be left out");
    return {.weights = &base_->weights()};
  }
  [[nodiscard]] llama_options<T> const& options() const { return options_; }

  /// Whether two numbers stand for the same tokens.
  [[nodiscard]] bool same_completion(std::uint32_t a, std::uint32_t b) const {
    token_table const& table = texts_->completions;
    return a < table.size() && b < table.size() && table.equal(a, b);
  }
  void use(executor threads) { options_.by.threads = threads; }

  /// The adapter's matrices by PEFT's names, or all weights by Hugging Face's; of a model that only serves as a
  /// reference, nothing.
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    if (adapter_) return adapter_->parameters();
    if (trained_) return trained_->parameters();
    return {};
  }
  /// Of the weights that do not train, of how the adapter is made, and of the texts as they are now.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("llama").add(trained_ ? detail::identity_of(config_) : base_->identity());
    if (adapter_) out.add(adapter_->identity());
    out.add(static_cast<std::uint64_t>(options_.by.weights)).add(fingerprint_of(*texts_));
    return out.value();
  }

  // The short contract.

  void log_prob(choice_batch const& batch, std::span<T> out) {
    ask(view(), batch, {.log_prob = out}, "llama::log_prob");
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    ask(view(), batch, {.token_log_prob = out}, "llama::token_log_prob");
  }
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    texts_->completions.offsets(batch.completion, out);
  }
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward(batch, completion_gradients<T>{.log_prob = coefficient});
  }
  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward(batch, completion_gradients<T>{.token_log_prob = coefficient});
  }

  // The base as a reference, see prefer::without_adapter.

  void log_prob_without_adapter(choice_batch const& batch, std::span<T> out) {
    ask(view_without_adapter(), batch, {.log_prob = out}, "llama::log_prob_without_adapter");
  }
  void token_log_prob_without_adapter(choice_batch const& batch, std::span<T> out) {
    ask(view_without_adapter(), batch, {.token_log_prob = out},
        "llama::token_log_prob_without_adapter");
  }

  // All that it can say of a batch in one pass, and all that comes back in another.

  static constexpr completion_output_set gives =
      completion_output::token_log_prob | completion_output::divergence |
      completion_output::alignment | completion_output::perturbed | completion_output::entropy |
      completion_output::mean_logit | completion_output::token_accuracy;

  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted) {
    prefer::detail::expects_outputs(against_nobody, wanted.wanted(), "llama::evaluate");
    forget();
    learn(batch, wanted, nullptr, "llama::evaluate");
  }
  /// Against a reference that a llama is inside of: it is asked for whole distributions.
  template <LlamaReference<T> R>
  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted,
                R const& reference) {
    // Who asks for nothing but log-probabilities does not need those.
    if ((wanted.wanted() - against_nobody).empty()) {
      return evaluate(batch, wanted);
    }
    ask_reference(reference, batch, "llama::evaluate");
    output_layer<T> const other = reference_.layer();
    learn(batch, wanted, &other, "llama::evaluate");
  }

  void backward(choice_batch const& batch, completion_gradients<T> const& given) {
    prefer::detail::expects_outputs(against_nobody, given.given(), "llama::backward");
    if (!learnt_.is(batch, {})) learn(batch, {}, nullptr, "llama::backward");
    give_back(given, nullptr);
  }
  template <LlamaReference<T> R>
  void backward(choice_batch const& batch, completion_gradients<T> const& given,
                R const& reference) {
    if (given.divergence.empty()) return backward(batch, given);
    bool const known = learnt_.is(batch, {}) && !reference_.empty();
    if (!known) ask_reference(reference, batch, "llama::backward");
    output_layer<T> const other = reference_.layer();
    if (!known) learn(batch, {}, &other, "llama::backward");
    give_back(given, &other);
  }
  /// Adds what all input rows of a step leave to the embedding; gradients are complete then.
  void finish_backward() {
    if (embedding_gradient_) embedding_gradient_->drain(trained_->gradients().embedding);
  }
  void parameters_moved() { forget(); }

  // A StepBackbone, see prefer::scalar_head: features of each completion, or of each of its steps, which offsets part as
  // ValueModel says. Asking keeps nothing, as log_prob; learning keeps what going back reads, as evaluate.

  [[nodiscard]] std::size_t width() const { return config_.width; }  ///< of features
  /// [completions, width]
  void features(choice_batch const& batch, std::span<T> out) {
    ask_features(batch, {row_scoring::completions}, out, "llama::features");
  }
  void learn_features(choice_batch const& batch, std::span<T> out) {
    learn_features(batch, {row_scoring::completions}, out, "llama::learn_features");
  }
  /// Nothing where nothing of it trains, and a head on it learns alone.
  void backward_features(choice_batch const& batch, std::span<T const> gradient) {
    give_back_features(batch, {row_scoring::completions}, gradient, "llama::backward_features");
  }
  /// [steps, width]
  void step_features(choice_batch const& batch, std::span<std::size_t const> step_offset,
                     std::span<T> out) {
    ask_features(batch, {row_scoring::steps, step_offset}, out, "llama::step_features");
  }
  void learn_step_features(choice_batch const& batch, std::span<std::size_t const> step_offset,
                           std::span<T> out) {
    learn_features(batch, {row_scoring::steps, step_offset}, out, "llama::learn_step_features");
  }
  void backward_step_features(choice_batch const& batch, std::span<std::size_t const> step_offset,
                              std::span<T const> gradient) {
    give_back_features(batch, {row_scoring::steps, step_offset}, gradient,
                       "llama::backward_step_features");
  }

  /// Completions of prompts of texts(), see SamplingPolicy; a token is drawn from what `token_log_prob` gives it, to
  /// rounding; products in bf16 are those of reading prompts alone. `heard` is told what is ready, see sampling_listener.
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids,
              sampling_listener const& heard = {}) {
    forget();
    if (!sampler_) sampler_ = std::make_unique<llama_sampler<T>>(config_);
    sampler_->sample(view(), options_.by, pass_, texts_->prompts, prompts, how, from, into, ids,
                     heard);
  }

  /// How many groups backward passes have left out so far, because their coefficients were all 0.
  [[nodiscard]] std::uint64_t groups_left_out() const { return left_out_; }

  /// Rows that a forward pass of each group takes, what is shared counted once.
  void group_tokens(choice_batch const& batch, std::vector<std::size_t>& out) {
    forget();
    lay_out(batch, 0, batch.size(), "llama::group_tokens");
    out.clear();
    for (std::size_t g = 0; g != batch.size(); ++g) {
      out.push_back(layout_.group_rows()[g + 1] - layout_.group_rows()[g]);
    }
  }

 private:
  static constexpr completion_output_set against_nobody =
      gives - prefer::detail::against_a_reference;
  // Rows of a pass that keeps nothing, where groups are small enough.
  static constexpr std::size_t rows_at_once = 1024;

  llama(llama_base<T> const& start, token_sequences const& texts, llama_options<T> const& options)
      : config_(start.config()), texts_(&texts), options_(options), pass_(config_) {}

  void expects_batch(choice_batch const& batch, char const* where) const {
    prefer::detail::expects_choices(batch, batch.completions(), texts_->prompts.size(),
                                    texts_->completions.size(), where);
  }
  void lay_out(choice_batch const& batch, std::size_t first, std::size_t count, char const* where,
               row_question const& asked = {}) {
    layout_.lay_out(batch, *texts_, {config_.vocabulary, config_.context}, first, count, where,
                    asked);
  }

  void ask(llama_view<T> const& model, choice_batch const& batch,
           completion_outputs<T> const& wanted, char const* where) {
    std::vector<std::size_t> offset;
    token_offsets(batch, offset);
    wanted.expects_sizes(batch.completions(), offset.back(), where);
    in_parts(model, batch, where, {}, [&](std::size_t i, std::size_t count) {
      head_.evaluate(options_.by, {pass_.hidden(), model.weights->output}, nullptr, layout_,
                     part_of(wanted, offset, i, count), prepared::nothing);
    });
  }
  // part(first completion, completions) behind a pass over each few groups that keeps nothing, because no number depends on
  // what else is in a pass.
  void in_parts(llama_view<T> const& model, choice_batch const& batch, char const* where,
                row_question const& asked, auto const& part) {
    forget();
    expects_batch(batch, where);
    for (std::size_t first = 0; first != batch.size();) {
      std::size_t const count = groups_within(batch, *texts_, first, rows_at_once);
      lay_out(batch, first, count, where, asked);
      pass_.forward(model, layout_, options_.by, kept::nothing);
      part(batch.offset[first], batch.offset[first + count] - batch.offset[first]);
      first += count;
    }
  }

  // A forward pass that keeps what a backward pass reads, where anything trains.
  void learn(choice_batch const& batch, completion_outputs<T> const& wanted,
             output_layer<T> const* reference, char const* where) {
    learn_rows(batch, {}, where, wanted);
    head_.evaluate(options_.by, {pass_.hidden(), view().weights->output}, reference, layout_,
                   wanted, prepares());
  }
  void learn_rows(choice_batch const& batch, row_question const& asked, char const* where,
                  completion_outputs<T> const& wanted = {}) {
    learnt_.forget();
    expects_batch(batch, where);
    lay_out(batch, 0, batch.size(), where, asked);
    wanted.expects_sizes(layout_.completions(), layout_.tokens(), where);
    pass_.forward(view(), layout_, options_.by, keeps(), dropout(batch));
    learnt_.learn(batch, asked);
  }
  void ask_features(choice_batch const& batch, row_question const& asked, std::span<T> out,
                    char const* where) {
    expects_features(batch, asked, out.size(), width(), where);
    std::size_t told = 0;
    in_parts(view(), batch, where, asked, [&](std::size_t, std::size_t) {
      told += tell_features<T>(layout_, pass_.hidden(), width(), out.subspan(told));
    });
  }
  void learn_features(choice_batch const& batch, row_question const& asked, std::span<T> out,
                      char const* where) {
    expects_features(batch, asked, out.size(), width(), where);
    learn_rows(batch, asked, where);
    tell_features<T>(layout_, pass_.hidden(), width(), out);
  }
  void give_back_features(choice_batch const& batch, row_question const& asked,
                          std::span<T const> gradient, char const* where) {
    expects_features(batch, asked, gradient.size(), width(), where);
    if (!trains()) return;
    if (!learnt_.is(batch, asked)) learn_rows(batch, asked, where);
    give_back_rows(groups_with_coefficients(layout_, gradient, width()), [&] {
      add_features(layout_, gradient, width(), d_feature_);
      return std::span<T>(d_feature_);
    });
  }
  [[nodiscard]] bool trains() const { return adapter_ || trained_; }
  [[nodiscard]] kept keeps() const {
    if (!trains()) return kept::nothing;
    return options_.checkpoint ? kept::layer_inputs : kept::everything;
  }
  [[nodiscard]] prepared prepares() const {
    if (!trains()) return prepared::nothing;
    return trained_ ? prepared::hidden_and_matrix : prepared::hidden;
  }
  void forget() {
    learnt_.forget();
    reference_.forget();
  }

  [[nodiscard]] adapter_dropout dropout(choice_batch const& batch) {
    if (!adapter_ || adapter_->options().dropout == 0) return {};
    number_rows(layout_, batch, dropout_rows_);
    return {.share = adapter_->options().dropout,
            .seed = adapter_->options().seed,
            .draw = batch.draw,
            .rows = dropout_rows_};
  }

  // The reference's last rows of the same layout. It may be this policy without its adapter, so it is asked first.
  template <class R>
  void ask_reference(R const& reference, choice_batch const& batch, char const* where) {
    forget();
    llama_view<T> const model = llama_of<T>(reference);
    expects_same_vocabulary(model.weights->config, config_, where);
    expects_batch(batch, where);
    lay_out(batch, 0, batch.size(), where);
    reference_.ask(model, layout_, options_.by);
  }

  void give_back(completion_gradients<T> const& given, output_layer<T> const* reference) {
    given.expects_sizes(layout_.completions(), layout_.tokens(), "llama::backward");
    auto const keep = groups_with_coefficients(layout_, given);
    give_back_rows(keep, [&] {
      return head_.backward(options_.by, {pass_.hidden(), view().weights->output}, reference,
                            layout_, given, keep, trained_ ? trained_->gradients().output : nullptr,
                            prepares());
    });
  }
  // From the gradient of hidden states, which is asked for where any group has one.
  void give_back_rows(std::vector<unsigned char> const& keep, auto const& gradient_of_rows) {
    expects(trains(),
            "llama::backward: nothing of it trains; it has no adapter, nor full_fine_tuning");
    learnt_.forget();  // the backward pass overwrites what the forward pass kept
    if (!keep.empty() && std::find(keep.begin(), keep.end(), 1) == keep.end()) {
      left_out_ += keep.size();
      return;
    }
    llama_view<T> model = view();
    if (trained_) model.gradients = &trained_->gradients();
    std::span<T> const d_hidden = leave_out(keep, gradient_of_rows());
    pass_.backward(model, layout_, options_.by, d_hidden,
                   embedding_gradient_ ? &*embedding_gradient_ : nullptr);
  }

  // Of what a backward pass goes through: groups for which `keep` has 0.
  std::span<T> leave_out(std::vector<unsigned char> const& keep, std::span<T> d_hidden) {
    std::size_t left_out = 0;
    for (unsigned char const each : keep) left_out += each == 0 ? 1 : 0;
    if (left_out == 0) return d_hidden;
    left_out_ += left_out;
    auto const ranges = row_layout::ranges(layout_.group_scored_rows(), keep);
    std::size_t const rows = layout_.scored_rows().size();
    pass_.keep_groups(layout_, keep);
    layout_ = layout_.only(keep);
    return keep_rows(d_hidden, rows, std::span<row_range const>(ranges));
  }

  llama_config config_;
  token_sequences const* texts_;
  llama_options<T> options_;
  std::shared_ptr<llama_base<T> const> base_;
  std::optional<lora_adapter<T>> adapter_;
  std::optional<trained_weights<T>> trained_;

  // Working memory.
  row_layout layout_;
  llama_pass<T> pass_;
  llama_head<T> head_;
  std::optional<embedding_gradient<T>> embedding_gradient_;
  reference_rows<T> reference_;
  std::unique_ptr<llama_sampler<T>> sampler_;
  std::vector<std::uint64_t> dropout_rows_;
  std::vector<T> d_feature_;  // [scored rows, width]

  std::uint64_t left_out_ = 0;

  learnt_batch learnt_;  // whose activations are kept
};

}  // namespace prefer::inline v0_1::lm
