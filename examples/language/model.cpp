// SPDX-License-Identifier: MIT
#include "model.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/any_adapter.hpp>
#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/files/weight_changes.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/lm/model/llama_base.hpp>
#include <prefer/lm/model/llama_sampling.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/lm/model/saved_adapter.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <prefer/lm/text/tokenizer_beside.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/text/number.hpp>

#include "../program/voice.hpp"
#include "products.hpp"
#include "references_of.hpp"

namespace language {

namespace {

namespace lm = prefer::lm;
using base = lm::llama_base<float>;

lm::weight_storage storage_of(model_options const& options) {
  std::string const& how = options.storage;
  bool const bf16 = how == "bf16" || (how == "auto" && options.compute == "bf16");
  if (bf16) return lm::weight_storage::bf16;
  return how == "file" ? lm::weight_storage::as_stored : lm::weight_storage::values;
}

/// A reference that is another model.
class another_model final : public held_reference {
 public:
  another_model(llama& policy, model_options const& options, prefer::token_sequences const& texts)
      : model_(options), policy_(policy), held_(model_.fixed(texts)), asked_(held_.get()) {}
  // Defined below, where policies are complete.
  prefer::any_reference<float> handle() override;
  [[nodiscard]] model const& opened() const { return model_; }

 private:
  model model_;
  llama& policy_;
  std::unique_ptr<held_policy> held_;
  held_policy* asked_;
};

/// Whether an adapter on disk is a reward model's. False where there is none to be read.
bool has_head(std::string const& adapter) {
  std::error_code ignored;
  std::filesystem::path const folder = adapter;
  if (!std::filesystem::exists(folder / "adapter_config.json", ignored)) return false;
  return lm::is_peft_reward_model(folder);
}

/// The weights that somebody holds, by where they lie and how they are held: a policy, its reference and its judge may be
/// adapters of one file.
using where_weights_lie = std::pair<std::filesystem::path, lm::weight_storage>;
std::map<where_weights_lie, std::weak_ptr<base const>>& weights_in_memory() {
  static std::map<where_weights_lie, std::weak_ptr<base const>> all;
  return all;
}

}  // namespace

struct model::parts {
  explicit parts(model_options const& given)
      : options(given),
        pool(given.threads),
        file(given.model),
        words(lm::open_tokenizer(given.model, {.chat_template = given.chat_template})),
        by{products_named(given.products), pool.executor(),
           given.compute == "bf16" ? lm::compute_type::bf16 : lm::compute_type::full},
        weights(open_weights()),
        bytes(weights->bytes_held()) {
    if (words.vocabulary() <= file.config().vocabulary) return;
    prefer::refuse(prefer::backend_error("model", given.model,
                                         "the tokenizer has " + std::to_string(words.vocabulary()) +
                                             " tokens and the model " +
                                             std::to_string(file.config().vocabulary)));
  }

  model_options options;
  prefer::thread_pool pool;
  lm::model_file file;
  lm::tokenizer words;
  lm::arithmetic<float> by;
  std::shared_ptr<language::base const> weights;
  std::size_t bytes;
  std::optional<std::uint64_t> file_identity = {};  // which takes reading all of it

  /// The weights, read again where a policy has taken them.
  [[nodiscard]] std::shared_ptr<language::base const> base() {
    if (!weights) weights = open_weights();
    return weights;
  }

  /// How an adapter begins: that of the options, or a new one.
  struct beginning {
    lm::lora_options how;
    std::optional<lm::adapter<float>> saved = {};
  };
  [[nodiscard]] beginning begun_as(std::string const& path, adapter_options const& adapter,
                                   lm::adapter_use use);
  [[nodiscard]] std::unique_ptr<held_policy> scorer_of_adapter(prefer::token_sequences const& texts,
                                                               std::string const& path,
                                                               adapter_options const& adapter);
  void expect_writer() const {
    if (!file.has_head()) return;
    file.at().refuse(
        "is a reward model: it has a head, and gives scores where others write; expected one that "
        "writes");
  }
  bool warned = false;  // of what the adapter was trained on

 private:
  [[nodiscard]] std::shared_ptr<language::base const> open_weights() {
    auto const storage = storage_of(options);
    auto& open = weights_in_memory()[{std::filesystem::canonical(options.model), storage}];
    auto out = open.lock();
    if (!out) open = out = std::make_shared<language::base const>(file, storage, pool.executor());
    return out;
  }
};

namespace {

class policy_of final : public held_policy {
 public:
  template <class... Parts>
  policy_of(model_options const& options, lm::model_file const& file, lm::tokenizer const& words,
            Parts&&... of)
      : options_(options), file_(file), words_(words), policy_(std::forward<Parts>(of)...) {}

  prefer::any_policy<float> handle() override { return prefer::any_policy<float>(policy_); }
  std::size_t trained() override {
    std::size_t numbers = 0;
    for (auto const& each : policy_.parameters()) numbers += each.value.size();
    return numbers;
  }
  bool has_adapter() const override { return policy_.has_adapter(); }
  void sample(std::span<std::uint32_t const> prompts, prefer::sampling_options const& how,
              prefer::random_address const& from, prefer::token_table& into,
              std::span<std::uint32_t> ids, finished_listener const& heard) override {
    policy_.sample(prompts, how, from, into, ids, lm::sampling_listener(heard));
  }
  void stream(std::span<std::uint32_t const> prompt, prefer::sampling_options const& how,
              prefer::random_address const& from,
              std::function<void(std::uint32_t)> const& heard) override {
    lm::llama_stream<float> tokens(policy_.view(), policy_.options().by, prompt, how, from);
    while (auto const token = tokens.next()) heard(*token);
  }
  std::unique_ptr<held_reference> reference(reference_choice const& choice,
                                            rows_to_cache const& rows) override {
    using kind = reference_choice::kind;
    switch (choice.is) {
      case kind::adapter_off:
        if (!policy_.has_adapter()) {
          prefer::refuse("--reference adapter-off: there is no adapter to leave out");
        }
        return std::make_unique<reference_of<prefer::without_adapter<llama>>>(policy_, policy_);
      case kind::frozen:
        return std::make_unique<reference_of<prefer::frozen<llama>>>(policy_, policy_);
      case kind::cached:
        return std::make_unique<reference_of<prefer::cached<float>>>(policy_,
                                                                     cached_rows(policy_, rows));
      case kind::moving:
        if (choice.every == 1) {
          return std::make_unique<reference_of<prefer::moving_average<llama, prefer::ema>>>(
              policy_, policy_, prefer::ema{.rate = choice.rate});
        }
        return std::make_unique<reference_of<prefer::moving_average<llama, prefer::tr_dpo>>>(
            policy_, policy_, prefer::tr_dpo{.alpha = choice.rate, .every = choice.every});
      case kind::other_model: {
        model_options other = options_;
        other.model = choice.path;
        other.adapter.clear();
        auto out = std::make_unique<another_model>(policy_, other, policy_.texts());
        expect_same_words(words_, out->opened().words(), choice.path);
        return out;
      }
      case kind::none:
        break;
    }
    return std::make_unique<reference_of<prefer::no_reference<float>>>(policy_);
  }

  /// Gives the policy the numbers of an adapter on disk.
  void take(lm::adapter<float> const& saved, lm::lora_options const& how) {
    lm::copy_adapter({"adapter", options_.adapter, 0}, saved, policy_.parameters(), how);
    policy_.parameters_moved();
    initial_ = true;
  }
  bool begins_as_base() const override { return !initial_; }

  void save_adapter(std::string const& folder) override {
    prefer::expects(policy_.has_adapter(), "save_adapter: there is no adapter");
    auto saved = lm::adapter_of(policy_.parameters(), policy_.view().adapter->options());
    lm::name_base(saved, file_);
    lm::write_peft_adapter(folder, saved, options_.model);
  }
  void save_model(std::string const& path, prefer::executor threads) override {
    prefer::expects(!policy_.has_adapter(), "save_model: what trains is an adapter");
    auto const parameters = policy_.parameters();
    lm::trained_parameters<float> const changes(parameters);
    lm::model_output const output{.threads = threads};
    if (file_.gguf() != nullptr) {
      lm::write_gguf_model(path, file_, changes, output, [](auto&) {});
    } else {
      lm::write_safetensors_model(path, file_, changes, output, lm::tokens_of_config(file_));
      (void)lm::write_tokenizer_beside(path, file_);
    }
  }

  [[nodiscard]] llama& policy() { return policy_; }

 private:
  model_options const& options_;
  lm::model_file const& file_;
  lm::tokenizer const& words_;
  llama policy_;
  bool initial_ = false;
};

/// A reward model.
class scorer_of final : public held_policy {
 public:
  using scored = prefer::scalar_head<llama>;

  template <class... Parts>
  scorer_of(model_options const& options, lm::model_file const& file, Parts&&... of)
      : options_(options), file_(file), model_(llama(std::forward<Parts>(of)...)) {
    if (!file.has_head()) return;
    auto const head = file.head<float>();
    std::copy(head.begin(), head.end(), model_.weight().begin());
  }

  prefer::any_policy<float> handle() override { return prefer::any_policy<float>(model_); }
  std::size_t trained() override {
    std::size_t numbers = 0;
    for (auto const& each : model_.parameters()) numbers += each.value.size();
    return numbers;
  }
  bool has_adapter() const override { return model_.backbone().has_adapter(); }
  bool begins_as_base() const override { return false; }
  void sample(std::span<std::uint32_t const>, prefer::sampling_options const&,
              prefer::random_address const&, prefer::token_table&, std::span<std::uint32_t>,
              finished_listener const&) override {
    writes_nothing();
  }
  void stream(std::span<std::uint32_t const>, prefer::sampling_options const&,
              prefer::random_address const&, std::function<void(std::uint32_t)> const&) override {
    writes_nothing();
  }
  std::unique_ptr<held_reference> reference(reference_choice const& choice,
                                            rows_to_cache const&) override {
    if (choice.is != reference_choice::kind::none) {
      prefer::refuse("--reference: a reward model is held near nothing; expected none");
    }
    return std::make_unique<reference_of<prefer::no_reference<float>, scored>>(model_);
  }

  /// Gives it the numbers of an adapter that was read there.
  void take(lm::adapter<float> const& saved, lm::lora_options const& how, std::string const& from) {
    lm::copy_adapter({"adapter", from, 0}, saved, model_.parameters(), how);
    model_.parameters_moved();
  }
  void save_adapter(std::string const& folder) override {
    auto saved = lm::adapter_of(model_.parameters(), model_.backbone().view().adapter->options());
    lm::name_base(saved, file_);
    lm::write_peft_adapter(folder, saved, options_.model);
  }
  void save_model(std::string const& path, prefer::executor threads) override {
    prefer::expects(!has_adapter(), "save_model: what trains is an adapter");
    auto const parameters = model_.backbone().parameters();
    lm::trained_parameters<float> const changes(parameters);
    lm::write_safetensors_model(path, file_, changes, {.head = model_.weight(), .threads = threads},
                                lm::tokens_of_config(file_));
    (void)lm::write_tokenizer_beside(path, file_);
  }

 private:
  [[noreturn]] static void writes_nothing() {
    prefer::refuse("a reward model scores completions, and writes none");
  }

  model_options const& options_;
  lm::model_file const& file_;
  scored model_;
};

prefer::any_reference<float> another_model::handle() {
  return {static_cast<policy_of*>(asked_)->policy(), policy_};
}

}  // namespace

model::parts::beginning model::parts::begun_as(std::string const& path,
                                               adapter_options const& adapter,
                                               lm::adapter_use use) {
  beginning out{.how = {.rank = adapter.rank,
                        .alpha = adapter.alpha,
                        .rank_stabilised = adapter.rank_stabilised,
                        .dropout = adapter.dropout,
                        .targets = adapter.targets,
                        .seed = adapter.seed}};
  if (path.empty()) return out;
  out.saved = lm::read_adapter<float>(path, file.config(), use);
  auto const warning = lm::warning_of_base({"adapter", path, 0}, *out.saved, file);
  if (warning && !warned) program::warn(*warning);
  warned = true;
  out.how = lm::lora_options_of(*out.saved);
  out.how.dropout = adapter.dropout;
  out.how.seed = adapter.seed;
  return out;
}

std::unique_ptr<held_policy> model::parts::scorer_of_adapter(prefer::token_sequences const& texts,
                                                             std::string const& path,
                                                             adapter_options const& adapter) {
  auto const [how, saved] = begun_as(path, adapter, lm::adapter_use::scores);
  auto out = std::make_unique<scorer_of>(options, file, base(), texts, how,
                                         lm::llama_options<float>{.by = by});
  if (saved) out->take(*saved, how, path);
  return out;
}

model::model(model_options const& options) : parts_(std::make_unique<parts>(options)) {}
model::~model() = default;

lm::tokenizer const& model::words() const { return parts_->words; }
lm::llama_config const& model::config() const { return parts_->file.config(); }
prefer::executor model::threads() { return parts_->pool.executor(); }
std::uint64_t model::identity() const {
  if (!parts_->file_identity) parts_->file_identity = parts_->file.identity();
  return prefer::fingerprint()
      .add(*parts_->file_identity)
      .add(parts_->options.compute)
      .add(static_cast<std::uint64_t>(storage_of(parts_->options)))
      .value();
}
std::string model::products() const { return std::string(parts_->by.by.name()); }
std::string model::in_words() const {
  auto const storage = storage_of(parts_->options);
  char const* const held = storage == lm::weight_storage::values ? "float32"
                           : storage == lm::weight_storage::bf16 ? "bfloat16"
                                                                 : "what the file has";
  double const bytes = static_cast<double>(parts_->bytes);
  unsigned const threads = parts_->options.threads;
  return parts_->options.model + ": " + config().architecture + ", " +
         std::to_string(config().layers) + " layers, vocabulary " +
         std::to_string(config().vocabulary) + ", context " + std::to_string(config().context) +
         "; weights as " + held + ", " + prefer::text::fixed(bytes / 1e6, 0) + " MB; products in " +
         parts_->options.compute + " by " + products() + " on " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

std::unique_ptr<held_policy> model::fixed(prefer::token_sequences const& texts) {
  return parts_->options.adapter.empty() ? start(texts) : with_adapter(texts, {});
}
std::unique_ptr<held_policy> model::start(prefer::token_sequences const& texts) {
  parts_->expect_writer();
  return std::make_unique<policy_of>(parts_->options, parts_->file, parts_->words, parts_->base(),
                                     texts, lm::llama_options<float>{.by = parts_->by});
}
std::unique_ptr<held_policy> model::with_adapter(prefer::token_sequences const& texts,
                                                 adapter_options const& adapter) {
  parts_->expect_writer();
  auto const [how, saved] =
      parts_->begun_as(parts_->options.adapter, adapter, lm::adapter_use::texts);
  auto out =
      std::make_unique<policy_of>(parts_->options, parts_->file, parts_->words, parts_->base(),
                                  texts, how, lm::llama_options<float>{.by = parts_->by});
  if (saved) out->take(*saved, how);
  return out;
}
std::unique_ptr<held_policy> model::scorer(prefer::token_sequences const& texts,
                                           std::string const& adapter) {
  if (adapter.empty()) {
    if (!parts_->file.has_head()) {
      parts_->file.at().refuse("has no head, so it gives no scores; expected a reward model");
    }
    return std::make_unique<scorer_of>(parts_->options, parts_->file, parts_->base(), texts,
                                       lm::llama_options<float>{.by = parts_->by});
  }
  if (!has_head(adapter)) {
    prefer::refuse(prefer::backend_error(
        "adapter", adapter,
        "it has no head, so it gives no scores; expected the adapter of a reward model"));
  }
  return parts_->scorer_of_adapter(texts, adapter, {});
}
std::unique_ptr<held_policy> model::scorer_with_adapter(prefer::token_sequences const& texts,
                                                        adapter_options const& adapter) {
  return parts_->scorer_of_adapter(texts, parts_->options.adapter, adapter);
}
std::unique_ptr<held_policy> model::whole(prefer::token_sequences const& texts) {
  parts_->expect_writer();
  auto const base = parts_->base();
  parts_->weights.reset();  // the policy has its own from here on
  return std::make_unique<policy_of>(parts_->options, parts_->file, parts_->words, *base, texts,
                                     lm::full_fine_tuning{},
                                     lm::llama_options<float>{.by = parts_->by});
}
std::unique_ptr<held_policy> model::whole_scorer(prefer::token_sequences const& texts) {
  auto const base = parts_->base();
  parts_->weights.reset();
  return std::make_unique<scorer_of>(parts_->options, parts_->file, *base, texts,
                                     lm::full_fine_tuning{},
                                     lm::llama_options<float>{.by = parts_->by});
}
bool model::is_gguf() const { return parts_->file.gguf() != nullptr; }

bool is_reward_model(model_options const& options) {
  if (!options.adapter.empty()) return has_head(options.adapter);
  std::error_code ignored;
  std::filesystem::path const model = options.model;
  bool const folder = std::filesystem::is_directory(model, ignored) ||
                      model.filename().string().find(".safetensors") != std::string::npos;
  return folder && std::filesystem::exists(model, ignored) && lm::model_file(model).has_head();
}

}  // namespace language
